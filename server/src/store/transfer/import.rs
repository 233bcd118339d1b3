//! Reads the lines that `export.rs` wrote, in one transaction.

use std::io::{BufRead, Read as _};

use entity::ProjectId;
use entity::project::{Column, Entity};
use futures_util::FutureExt as _;
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DbBackend, EntityTrait as _,
    QueryFilter as _,
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::table::{self, Row, Table};
use super::{FORMAT, Report, steps, to_hex, wrong};
use crate::error::{Error, Result};
use crate::limits::BATCH_ROWS_MAX;
use crate::store::{Change, Origin, Store};

/// A line: a row has at most a payload, an inline action and outputs, and JSON may escape each of
/// their characters to six.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The first line.
struct Header {
    project: ProjectId,
    name: String,
    rows: Map<String, Value>,
}

/// Adds the project that `lines` hold.
///
/// # Errors
/// A refusal that names the line; a conflict when the project is there; the database's own. Nothing
/// was changed then.
pub async fn import(store: &Store, lines: Box<dyn BufRead + Send>) -> Result<Report> {
    store
        .change(Origin::Edit, |change| {
            async move {
                be_patient(change).await?;
                let mut lines = Lines { lines, sum: Sha256::new(), number: 0 };
                let header = header(&mut lines)?;
                refuse_if_there(change, &header).await?;
                rows(change, &mut lines, header).await
            }
            .boxed()
        })
        .await
}

/// The lines may come slowly; PostgreSQL gives up a change that does nothing for long.
async fn be_patient(change: &Change) -> Result<()> {
    if change.backend() == DbBackend::Postgres {
        let sql = "SET LOCAL idle_in_transaction_session_timeout = 0";
        change.tx().execute_unprepared(sql).await?;
    }
    Ok(())
}

async fn refuse_if_there(change: &Change, header: &Header) -> Result<()> {
    let same = Condition::any()
        .add(Column::Id.eq(header.project))
        .add(Column::Name.eq(header.name.as_str()));
    match Entity::find().filter(same).one(change.tx()).await? {
        None => Ok(()),
        Some(row) if row.id == header.project => {
            Err(Error::conflict("project", format!("{} is there already", row.id)))
        }
        Some(row) => {
            let message = format!("another project is already named {:?}: {}", row.name, row.id);
            Err(Error::conflict("project", message))
        }
    }
}

async fn rows(change: &Change, lines: &mut Lines, header: Header) -> Result<Report> {
    let mut tables = table::all();
    let mut counts = vec![0_u64; tables.len()];
    let mut current = 0;
    loop {
        let Some((kind, mut row)) = lines.next()? else {
            return Err(wrong(lines.number + 1, "the file was cut off: its last line is missing"));
        };
        if kind == "end" {
            flush(change, &mut tables[current], lines.number).await?;
            check_end(lines, &header, &row, &tables, &counts)?;
            let Header { project, name, .. } = header;
            return Ok(Report { project, name, rows: counts.iter().sum() });
        }
        let place = tables[current..].iter().position(|table| table.name() == kind);
        let Some(skipped) = place else {
            return Err(wrong(lines.number, format!("no row of {kind:?} was expected here")));
        };
        if skipped != 0 {
            flush(change, &mut tables[current], lines.number).await?;
            current += skipped;
        }
        check_owner(lines.number, &kind, &row, &header)?;
        if kind == "firing" {
            release(&mut row);
        }
        tables[current].push(&row).map_err(|why| wrong(lines.number, why))?;
        counts[current] += 1;
        if BATCH_ROWS_MAX <= tables[current].pushed() {
            flush(change, &mut tables[current], lines.number).await?;
        }
    }
}

async fn flush(change: &Change, table: &mut Box<dyn Table>, number: u64) -> Result<()> {
    if table.pushed() == 0 {
        return Ok(());
    }
    match table.flush(change).await {
        Err(Error::Database(error)) if error.sql_err().is_some() => {
            Err(wrong(number, format!("the rows up to here do not fit: {error}")))
        }
        flushed => flushed,
    }
}

/// Reads the first line, and whether this version can read the rest.
fn header(lines: &mut Lines) -> Result<Header> {
    let unknown = || wrong(1, "this is no file of belfry export");
    let line = lines.line()?.ok_or_else(unknown)?;
    let line: Value = serde_json::from_slice(&line).map_err(|_| unknown())?;
    if line["belfry"] != "project" {
        return Err(unknown());
    }
    let by = line["version"].as_str().unwrap_or("unknown");
    let format = line["format"].as_u64();
    if format != Some(FORMAT) {
        let message = format!("format {} of belfry {by} is not known here", line["format"]);
        return Err(wrong(1, message));
    }
    let schema = line["schema"].as_str().unwrap_or_default();
    if !steps().iter().any(|step| step == schema) {
        return Err(wrong(1, format!("it was written by a newer version of belfry: {by}")));
    }
    let project = line["project"]["id"].as_str().and_then(|id| id.parse().ok());
    let name = line["project"]["name"].as_str().map(str::to_owned);
    let rows = line["rows"].as_object().cloned();
    let (Some(project), Some(name), Some(rows)) = (project, name, rows) else {
        return Err(wrong(1, "project and rows were expected"));
    };
    Ok(Header { project, name, rows })
}

/// A row belongs to the project of the first line; parts belong to what they are parts of.
fn check_owner(number: u64, kind: &str, row: &Row, header: &Header) -> Result<()> {
    let column = if kind == "project" { "id" } else { "project_id" };
    let owner = row.get(column).and_then(Value::as_str);
    let is_part = kind.ends_with("_version") || kind == "schedule_calendar";
    let is_same = owner == Some(&*entity::TypedId::uuid(header.project).to_string());
    if is_same || owner.is_none() && is_part {
        return Ok(());
    }
    Err(wrong(number, "this row belongs to another project"))
}

/// Nobody executes what arrives: it waits again, as when a process gives its work back.
fn release(row: &mut Row) {
    if row.get("status").and_then(Value::as_str) != Some("EXECUTING") {
        return;
    }
    let attempts = row.get("attempts").and_then(Value::as_i64).unwrap_or(1);
    row.insert("status".to_owned(), "SCHEDULED".into());
    row.insert("attempts".to_owned(), (attempts - 1).max(0).into());
    row.insert("lease_owner".to_owned(), Value::Null);
    row.insert("lease_until".to_owned(), Value::Null);
}

/// Everything that was written is here, and unchanged.
fn check_end(
    lines: &mut Lines,
    header: &Header,
    end: &Row,
    tables: &[Box<dyn Table>],
    counts: &[u64],
) -> Result<()> {
    let rows: u64 = counts.iter().sum();
    let is_whole = end.get("rows").and_then(Value::as_u64) == Some(rows)
        && tables.iter().zip(counts).all(|(table, count)| {
            header.rows.get(table.name()).and_then(Value::as_u64) == Some(*count)
        });
    if !is_whole {
        return Err(wrong(lines.number, "rows are missing, or there are too many"));
    }
    let sum = to_hex(&lines.sum.clone().finalize());
    if end.get("sha256").and_then(Value::as_str) != Some(&*sum) {
        return Err(wrong(lines.number, "the file was changed: its SHA-256 is another"));
    }
    if lines.line()?.is_some() {
        return Err(wrong(lines.number, "nothing was expected after the last line"));
    }
    Ok(())
}

/// The lines, counted and summed up to the last.
struct Lines {
    lines: Box<dyn BufRead + Send>,
    sum: Sha256,
    number: u64,
}

impl Lines {
    /// The next row with the name of its table; `end` for the last line.
    fn next(&mut self) -> Result<Option<(String, Row)>> {
        let before = self.sum.clone();
        let Some(line) = self.line()? else { return Ok(None) };
        let parsed = serde_json::from_slice(&line).ok();
        let named = parsed.and_then(|line: Map<String, Value>| match line.into_iter().next() {
            Some((name, Value::Object(row))) => Some((name, row)),
            _ => None,
        });
        let Some((name, row)) = named else {
            // The last line of a file that was cut off is the half of one.
            let is_half = line.last() != Some(&b'\n');
            let why = if is_half { "the file was cut off here" } else { "no row can be read" };
            return Err(wrong(self.number, why));
        };
        if name == "end" {
            self.sum = before;
        }
        Ok(Some((name, row)))
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.lines).take(LINE_BYTES_MAX + 1);
        let failed = |error| Error::Internal(format!("the import could not be read: {error}"));
        let read = limited.read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if LINE_BYTES_MAX < line.len() as u64 {
            return Err(wrong(self.number, format!("it is longer than {LINE_BYTES_MAX} bytes")));
        }
        self.sum.update(&line);
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Lines};
    use sha2::{Digest as _, Sha256};
    use std::io::Cursor;

    #[test]
    fn a_line_is_read_up_to_its_limit() {
        let lines = |bytes: u64| {
            let mut text = vec![b'x'; usize::try_from(bytes - 1).expect("a size")];
            text.push(b'\n');
            Lines { lines: Box::new(Cursor::new(text)), sum: Sha256::new(), number: 0 }
        };
        let longest = lines(LINE_BYTES_MAX).line().expect("it fits").expect("a line");
        assert_eq!(longest.len() as u64, LINE_BYTES_MAX);
        let refused = lines(LINE_BYTES_MAX + 1).line().expect_err("one byte more").to_string();
        assert_eq!(refused, format!("line 1: it is longer than {LINE_BYTES_MAX} bytes"));
    }
}
