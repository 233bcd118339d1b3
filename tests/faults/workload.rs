//! What clients ask for while things break: timers, schedules, and edits of schedules.

use belfry::domain::plan::Spec;
use entity::Instant;
use serde_json::{Value, json};
use tests::checker::{Cancel, PlanVersion, Running, Schedule, Timer};
use tests::services::shared::unique;

use crate::book::{now, pass};
use crate::world::Shared;

const TIMERS: &str = "mutation($input: TimersStartInput!) { timersStart(input: $input) \
     { timers { id firesAt } userErrors { code field message } } }";
const TIMER_CANCEL: &str = "mutation($input: TimerCancelInput!) { timerCancel(input: $input) \
     { timer { id } userErrors { code field message } } }";
const TRIGGER: &str = "mutation($input: TriggerCreateInput!) { triggerCreate(input: $input) \
     { trigger { id schedules { id name } } userErrors { code field message } } }";
const EDIT: &str = "mutation($input: ScheduleUpdateInput!) { scheduleUpdate(input: $input) \
     { schedule { id } userErrors { code field message } } }";
const PAUSE: &str = "mutation($input: SchedulePauseInput!) { schedulePause(input: $input) \
     { schedule { id } userErrors { code field message } } }";

/// Where a timer's firing goes.
#[derive(Clone)]
pub enum Goal {
    /// To a URL, with the default retries.
    Url(String),
    /// To a trigger.
    Trigger(String),
}

impl Shared {
    /// Starts `count` timers that end evenly between `from_ms` and `until_ms` from now.
    pub async fn timers(&self, goal: &Goal, count: usize, (from_ms, until_ms): (i64, i64)) {
        let first = self.numbers(count);
        let timer = |place: usize| {
            let share = i64::try_from(place).unwrap_or(0) * (until_ms - from_ms);
            let delay_ms = from_ms + share / i64::try_from(count).unwrap_or(1);
            let length = format!("PT{}.{:03}S", delay_ms / 1_000, delay_ms % 1_000);
            let target = match goal {
                Goal::Url(url) => json!({ "url": url }),
                Goal::Trigger(id) => json!({ "triggerId": id }),
            };
            let payload = json!({ "timer": first + place as u64 });
            json!({ "length": { "duration": length }, "target": target, "payload": payload })
        };
        let timers: Vec<Value> = (0..count).map(timer).collect();
        let asked_at = now();
        let known = |place: usize| Timer {
            number: first + place as u64,
            asked_at,
            acked_at: None,
            firing: None,
            fires_at: None,
            cancel: None,
        };
        self.book.pages().timers.extend((0..count).map(known));
        let input = json!({ "timers": timers, "idempotencyKey": unique() });
        let done = self.client.mutate("timersStart", TIMERS, input).await;
        let made = done.payload["timers"].as_array().cloned().unwrap_or_default();
        assert_eq!(made.len(), count, "{}", done.payload);
        let mut pages = self.book.pages();
        for (place, answer) in made.iter().enumerate() {
            let number = first + place as u64;
            let timer = pages.timers.iter_mut().find(|timer| timer.number == number);
            let timer = timer.expect("it was asked for");
            timer.acked_at = Some(done.acked_at);
            timer.firing = Some(firing_of(&text(&answer["id"])));
            timer.fires_at = Some(millis(&answer["firesAt"]));
        }
    }

    /// Starts a few timers every half second until `until`.
    pub async fn stream_of_timers(&self, goal: Goal, until: i64) {
        while now() < until {
            self.timers(&goal, 8, (300, 2_500)).await;
            pass(500).await;
        }
    }

    /// Cancels the timer that was acknowledged last.
    pub async fn cancel_last(&self) {
        let last = {
            let mut pages = self.book.pages();
            let mut acked = pages.timers.iter_mut().rev();
            let Some(timer) = acked.find(|it| it.acked_at.is_some() && it.cancel.is_none()) else {
                return;
            };
            timer.cancel = Some(Cancel { asked_at: now(), acked_at: None });
            (timer.number, timer.firing.clone().unwrap_or_default())
        };
        let input = json!({ "id": last.1.replacen("frg_", "tmr_", 1) });
        let done = self.client.mutate("timerCancel", TIMER_CANCEL, input).await;
        let was_refused = done.payload["userErrors"] != json!([]);
        let mut pages = self.book.pages();
        let timer = pages.timers.iter_mut().find(|timer| timer.number == last.0);
        let cancel = Cancel { asked_at: done.asked_at, acked_at: Some(done.acked_at) };
        // It was over before it could be cancelled.
        timer.expect("it was asked for").cancel = (!was_refused).then_some(cancel);
    }

    /// A trigger that posts to `url`, tried `tries` times at pauses of a second.
    pub async fn trigger(&self, url: &str, tries: u32, timeout: &str) -> String {
        let retry = json!({ "maxAttempts": tries, "delays": ["PT1S"] });
        let stage = json!({ "name": "post", "config": { "http": { "url": url } },
                            "retry": retry, "timeout": timeout });
        let input = json!({ "name": unique(), "action": { "inline": { "stages": [stage] } },
                            "idempotencyKey": unique() });
        let done = self.client.mutate("triggerCreate", TRIGGER, input).await;
        text(&done.payload["trigger"]["id"])
    }

    /// Makes a trigger with `count` schedules, half of them each second, half by cron, and this word
    /// on what becomes of overlap.
    pub async fn schedules(&self, url: &str, count: usize, overlap: &str) -> Vec<String> {
        let anchor = now() / 1_000 * 1_000;
        let spec = |place: usize| match place % 2 {
            0 => every(1_000, anchor + 37 * i64::try_from(place).unwrap_or(0)),
            _ => cron("* * * * * *"),
        };
        let asked: Vec<Value> = (0..count)
            .map(|place| {
                let (name, spec) = (place.to_string(), input_of(&spec(place)));
                json!({ "name": name, "spec": spec, "payload": { "plan": 1 } })
            })
            .collect();
        let stage = json!({ "name": "post", "config": { "http": { "url": url } } });
        let input = json!({ "name": unique(), "action": { "inline": { "stages": [stage] } },
                            "overlap": overlap, "schedules": asked, "idempotencyKey": unique() });
        let done = self.client.mutate("triggerCreate", TRIGGER, input).await;
        let made = done.payload["trigger"]["schedules"].as_array().cloned().unwrap_or_default();
        let mut ids = vec![String::new(); count];
        for answer in made {
            let place: usize = text(&answer["name"]).parse().expect("a number");
            ids[place] = text(&answer["id"]);
            let version = PlanVersion {
                number: 1,
                spec: spec(place),
                running: Running::Active,
                asked_at: done.asked_at,
                acked_at: Some(done.acked_at),
            };
            let schedule = Schedule { id: ids[place].clone(), versions: vec![version] };
            self.book.pages().schedules.push(schedule);
        }
        ids
    }

    /// Gives a schedule another plan.
    pub async fn edit(&self, schedule: &str, spec: Spec) {
        let number = self.next_plan(schedule);
        let payload = json!({ "plan": number });
        let input = json!({ "id": schedule, "spec": input_of(&spec), "payload": payload });
        let asked_at = now();
        let running = Running::Active;
        let version = PlanVersion { number, spec, running, asked_at, acked_at: None };
        self.book.replanned(schedule, version);
        let done = self.client.mutate("scheduleUpdate", EDIT, input).await;
        self.acked(schedule, done.acked_at);
    }

    /// Pauses every schedule, so that nothing more becomes due.
    pub async fn pause_all(&self) {
        let schedules = self.book.pages().schedules.clone();
        for schedule in &schedules {
            let number = self.next_plan(&schedule.id);
            let spec = schedule.versions.last().expect("it has a plan").spec.clone();
            let running = Running::Paused;
            let version = PlanVersion { number, spec, running, asked_at: now(), acked_at: None };
            self.book.replanned(&schedule.id, version);
            let done =
                self.client.mutate("schedulePause", PAUSE, json!({ "id": schedule.id })).await;
            self.acked(&schedule.id, done.acked_at);
        }
    }

    fn next_plan(&self, schedule: &str) -> u64 {
        let pages = self.book.pages();
        let found = pages.schedules.iter().find(|it| it.id == schedule);
        found.expect("a schedule that was made").versions.len() as u64 + 1
    }

    fn acked(&self, schedule: &str, at: i64) {
        let mut pages = self.book.pages();
        let found = pages.schedules.iter_mut().find(|it| it.id == schedule);
        let last = found.and_then(|it| it.versions.last_mut()).expect("it was asked for");
        last.acked_at = Some(at);
    }
}

/// A spec of elapsed time.
pub fn every(interval_ms: i64, anchor: i64) -> Spec {
    Spec::every(interval_ms, Instant::from_millis(anchor))
}

/// A spec by the clock, in UTC.
pub fn cron(expression: &str) -> Spec {
    Spec::cron(expression, "UTC")
}

/// The firing of a timer: both share their UUID.
fn firing_of(timer: &str) -> String {
    timer.replacen("tmr_", "frg_", 1)
}

fn input_of(spec: &Spec) -> Value {
    match spec {
        Spec::Every { interval_ms, anchor, .. } => {
            let interval = format!("PT{}S", interval_ms / 1_000);
            json!({ "every": { "interval": interval, "anchor": anchor.to_string() } })
        }
        Spec::Cron { expression, zone, .. } => {
            json!({ "cron": { "expression": expression, "timeZone": zone } })
        }
        Spec::At { at } | Spec::In { at, .. } => json!({ "at": at.to_string() }),
    }
}

/// A text of an answer.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An instant of an answer, in milliseconds since 1970.
pub fn millis(value: &Value) -> i64 {
    let at = value.as_str().and_then(|text| Instant::parse(text).ok());
    at.unwrap_or_else(|| panic!("{value} is no instant")).millis()
}
