//! Instants that do not fire, as the planner and the edits record them: SKIPPED ranges.

use entity::firing::{self, Status};
use entity::schedule::Model;
use entity::{Instant, trigger};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::planned_row;
use crate::clock::Ids;
use crate::domain::planning::{Planned, Reason, Skip, ranges};
use crate::error::Result;
use crate::store::{Change, firing as firings, range};

/// In the words of the index `firing_instant`.
const PLANNED: &str = "firing.cause = 'SCHEDULE'";

/// Whose instants they are.
pub(super) struct Whose<'a> {
    pub row: &'a mut Model,
    pub trigger: &'a trigger::Model,
}

/// Records instants as ranges, none of which encloses an instant that has a record of its own, or is
/// about to get one: `fires`.
pub(super) async fn write(
    change: &Change,
    ids: &Ids,
    whose: Whose<'_>,
    (skipped, reason): (&[Instant], Reason),
    fires: &[Instant],
    now: Instant,
) -> Result<()> {
    let (Some(first), Some(last)) = (skipped.first(), skipped.last()) else { return Ok(()) };
    let Whose { row, trigger } = whose;
    let mut others = fires.to_vec();
    if first < last {
        let between = firing::Entity::find()
            .select_only()
            .column(firing::Column::NominalAt)
            .filter(firing::Column::ScheduleId.eq(row.id))
            .filter(Expr::cust(PLANNED))
            .filter(firing::Column::NominalAt.gt(*first))
            .filter(firing::Column::NominalAt.lt(*last))
            .into_tuple::<Instant>();
        others.extend(between.all(change.tx()).await?);
    }
    let mut ends_before = fires.iter().any(|fires| fires < first);
    for skip in ranges(skipped, &others, reason) {
        // What fires in between has no row yet that would tell.
        if ends_before {
            close_range(change, ids, row, trigger).await?;
        }
        write_one(change, ids, Whose { row, trigger }, &skip, now).await?;
        ends_before = true;
    }
    Ok(())
}

/// Ends the range that the next skipped instants would have extended, with its one event.
pub async fn close_range(
    change: &Change,
    ids: &Ids,
    row: &mut Model,
    trigger: &trigger::Model,
) -> Result<()> {
    let Some(id) = row.open_range_id.take() else { return Ok(()) };
    range::close(change, ids, id, Some(trigger)).await
}

/// Extends the open range when that is for the same reason and nothing lies between, else begins a
/// new one.
async fn write_one(
    change: &Change,
    ids: &Ids,
    Whose { row, trigger }: Whose<'_>,
    skip: &Skip,
    now: Instant,
) -> Result<()> {
    change.count(|tally| tally.skipped.push((skip.reason.as_str(), skip.count)));
    if let Some(open) = row.open_range_id {
        if range::extend(change, open, skip, now).await? {
            return Ok(());
        }
        close_range(change, ids, row, trigger).await?;
    }
    let first = Planned { nominal_at: skip.from, due_at: skip.from };
    let mut range = planned_row(ids, row, trigger, first, now);
    range.status = Status::Skipped;
    range.reason = Some(skip.reason.as_str().to_owned());
    range.finished_at = Some(now);
    range.range_from = Some(skip.from);
    range.range_until = Some(skip.until);
    range.range_count = Some(skip.count);
    row.open_range_id = Some(range.id);
    firings::insert(change, vec![range]).await
}
