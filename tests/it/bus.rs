//! The bus: one suite that every home of it passes.

use std::sync::Arc;

use belfry::bus::{Bus, MemoryBus};
use belfry::domain::outbox::Notice;
use belfry::limits::BUS_NOTICES_MAX;
use entity::{FiringId, ProjectId};
use futures_util::FutureExt as _;
use sea_orm::prelude::Uuid;
use tests::services::shared::{redis_url, unique};

mod redis;

/// Every home there is.
const HOMES: [Home; 2] = [Home::Memory, Home::Redis];

/// A home of the bus for the suite.
#[derive(Clone, Copy, Debug)]
enum Home {
    Memory,
    Redis,
}

impl Home {
    /// One that nobody listens to yet.
    async fn open(self) -> Arc<dyn Bus> {
        match self {
            Self::Memory => Arc::new(MemoryBus::new()),
            Self::Redis => redis::ready(&redis_url().await, &unique()).await,
        }
    }
}

/// Runs a story on each home.
macro_rules! on_every_home {
    ($($name:ident($bus:ident) $body:block)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            for home in HOMES {
                println!("home: {home:?}");
                let $bus = home.open().await;
                $body
            }
        }
    )*};
}

fn notice(number: usize) -> Notice {
    let firing = FiringId(Uuid::from_u128(number as u128));
    Notice::Changed(ProjectId(Uuid::from_u128(1)), firing)
}

fn notices(count: usize) -> Vec<Notice> {
    (0..count).map(notice).collect()
}

on_every_home! {
    every_listener_hears_everything_in_its_order(bus) {
        let mut listeners = [bus.listen(), bus.listen(), bus.listen()];
        bus.publish(&[notice(1), Notice::Replan]);
        bus.publish(&[notice(2)]);
        for listener in &mut listeners {
            let heard =
                [listener.next().await, listener.next().await, listener.next().await];
            assert_eq!(heard, [Some(notice(1)), Some(Notice::Replan), Some(notice(2))]);
        }
    }

    what_was_published_before_is_not_heard(bus) {
        bus.publish(&[notice(1)]);
        let mut late = bus.listen();
        assert_eq!(late.next().now_or_never(), None);
        bus.publish(&[notice(2)]);
        assert_eq!(late.next().await, Some(notice(2)));
    }

    publishing_to_nobody_is_no_fault(bus) {
        bus.publish(&notices(10));
        drop(bus.listen());
        bus.publish(&notices(10));
    }

    a_listener_as_slow_as_the_limit_misses_nothing(bus) {
        let mut slow = bus.listen();
        bus.publish(&notices(BUS_NOTICES_MAX));
        for number in 0..BUS_NOTICES_MAX {
            assert_eq!(slow.next().await, Some(notice(number)));
        }
    }

    one_slower_learns_that_it_missed_something_and_then_goes_on(bus) {
        let mut slow = bus.listen();
        bus.publish(&notices(BUS_NOTICES_MAX + 1));
        assert_eq!(slow.next().await, None);
        assert_eq!(slow.next().await, Some(notice(1)));
    }

    a_slow_listener_delays_neither_the_publisher_nor_another(bus) {
        let _stalled = bus.listen();
        let mut quick = bus.listen();
        for number in 0..BUS_NOTICES_MAX * 3 {
            bus.publish(&[notice(number)]);
            assert_eq!(quick.next().await, Some(notice(number)));
        }
    }

    a_listener_that_registered_before_it_read_hears_what_came_meanwhile(bus) {
        let mut listener = bus.listen();
        let publisher = tokio::spawn({
            let bus = bus.clone();
            async move { bus.publish(&[notice(7)]) }
        });
        publisher.await.expect("it published while nobody waited");
        assert_eq!(listener.next().await, Some(notice(7)));
    }
}
