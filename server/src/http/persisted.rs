//! Persisted queries: a client that has sent a query with its hash may send the hash alone.
//!
//! The protocol is Apollo's automatic persisted queries:
//! <https://www.apollographql.com/docs/apollo-server/performance/apq>. What is kept is text, after
//! the guard has passed it, and it goes through the guard again each time: a hash opens nothing that
//! its text would not.
//!
//! **Kept per project.** A hash that one project stored is unknown to every other, so that nobody can
//! find out by asking which queries another one uses. And whoever stores much loses its own: when
//! there is no room, the project that holds most forgets what it used longest ago.
//!
//! The memory is that of one process. Behind a balancer a client meets each process once with its
//! whole query, which is all that forgetting ever costs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entity::ProjectId;
use sha2::{Digest as _, Sha256};

use crate::limits::{PERSISTED_BYTES_MAX, PERSISTED_QUERIES_MAX};

/// The SHA-256 of a query's text.
pub type Hash = [u8; 32];

/// How many queries are kept, and how many bytes of text.
#[derive(Clone, Copy, Debug)]
struct Room {
    queries: usize,
    bytes: usize,
}

/// The queries of this process. Clones share them.
#[derive(Clone, Debug)]
pub struct Persisted {
    shelves: Arc<Mutex<Shelves>>,
    room: Room,
}

#[derive(Debug, Default)]
struct Shelves {
    of: HashMap<ProjectId, Shelf>,
    /// Counts uses: the larger, the later.
    uses: u64,
    queries: usize,
    bytes: usize,
}

/// What one project has stored.
#[derive(Debug, Default)]
struct Shelf {
    queries: HashMap<Hash, (Arc<str>, u64)>,
    bytes: usize,
}

impl Persisted {
    /// The text that `project` stored under `hash`.
    #[must_use]
    pub fn find(&self, project: ProjectId, hash: &Hash) -> Option<Arc<str>> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.uses += 1;
        let now = shelves.uses;
        let (text, used) = shelves.of.get_mut(&project)?.queries.get_mut(hash)?;
        *used = now;
        Some(text.clone())
    }

    /// Keeps `text`, whose hash was checked. A text over the room for all is not kept.
    pub fn insert(&self, project: ProjectId, hash: Hash, text: &str) {
        if self.room.bytes < text.len() {
            return;
        }
        let mut locked = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let shelves = &mut *locked;
        shelves.uses += 1;
        let now = shelves.uses;
        let shelf = shelves.of.entry(project).or_default();
        if shelf.queries.insert(hash, (text.into(), now)).is_some() {
            return;
        }
        shelf.bytes += text.len();
        shelves.bytes += text.len();
        shelves.queries += 1;
        while self.room.queries < shelves.queries || self.room.bytes < shelves.bytes {
            shelves.forget_one(self.room);
        }
    }
}

impl Default for Persisted {
    fn default() -> Self {
        let room = Room { queries: PERSISTED_QUERIES_MAX, bytes: PERSISTED_BYTES_MAX };
        Self { shelves: Arc::default(), room }
    }
}

impl Shelves {
    /// Of the project that holds most, what it used longest ago. Looks at everything that project
    /// has, some tens of microseconds, and only for a query that is new.
    fn forget_one(&mut self, room: Room) {
        let are_too_many = room.queries < self.queries;
        let largest = self.of.iter_mut().max_by_key(|(_, shelf)| match are_too_many {
            true => shelf.queries.len(),
            false => shelf.bytes,
        });
        let Some((&project, shelf)) = largest else { return };
        let oldest = shelf.queries.iter().min_by_key(|(_, (_, used))| *used);
        let Some(hash) = oldest.map(|(hash, _)| *hash) else { return };
        if let Some((text, _)) = shelf.queries.remove(&hash) {
            shelf.bytes -= text.len();
            self.bytes -= text.len();
            self.queries -= 1;
        }
        if shelf.queries.is_empty() {
            self.of.remove(&project);
        }
    }
}

/// The hash that stands for `text`.
#[must_use]
pub fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// Reads 64 hexadecimal digits.
#[must_use]
pub fn parse_hash(digits: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if digits.len() != 2 * hash.len() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_room(queries: usize, bytes: usize) -> Persisted {
        Persisted { shelves: Arc::default(), room: Room { queries, bytes } }
    }

    fn project(n: u128) -> ProjectId {
        ProjectId(uuid::Uuid::from_u128(n))
    }

    fn keep(persisted: &Persisted, of: u128, text: &str) {
        persisted.insert(project(of), hash(text), text);
    }

    fn knows(persisted: &Persisted, of: u128, text: &str) -> bool {
        persisted.find(project(of), &hash(text)).as_deref() == Some(text)
    }

    #[test]
    fn a_query_is_known_to_its_project_alone() {
        let persisted = Persisted::default();
        keep(&persisted, 1, "{ a }");
        assert!(knows(&persisted, 1, "{ a }"));
        assert!(!knows(&persisted, 2, "{ a }"));
    }

    #[test]
    fn past_the_count_the_one_used_longest_ago_is_forgotten() {
        let persisted = with_room(2, 1_000);
        keep(&persisted, 1, "a");
        keep(&persisted, 1, "b");
        keep(&persisted, 1, "b");
        assert!(knows(&persisted, 1, "b") && knows(&persisted, 1, "a"), "at the limit");
        keep(&persisted, 1, "c");
        let known = ["a", "b", "c"].map(|text| knows(&persisted, 1, text));
        assert_eq!(known, [true, false, true], "one past it");
    }

    #[test]
    fn past_the_bytes_the_project_that_holds_most_forgets() {
        let persisted = with_room(10, 10);
        keep(&persisted, 1, "1234");
        keep(&persisted, 2, "123456");
        assert!(knows(&persisted, 1, "1234") && knows(&persisted, 2, "123456"), "at the limit");
        keep(&persisted, 1, "1");
        assert!(!knows(&persisted, 2, "123456"), "one past it");
        assert!(knows(&persisted, 1, "1234") && knows(&persisted, 1, "1"));
        keep(&persisted, 3, "12345678901");
        assert!(!knows(&persisted, 3, "12345678901"), "more than all the room is not kept");
        assert!(knows(&persisted, 1, "1234"));
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        let digits = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        assert_eq!(parse_hash(digits), Some(hash("")));
        assert_eq!(parse_hash(&digits[1..]), None);
        assert_eq!(parse_hash(&format!("{digits}0")), None);
        assert_eq!(parse_hash(&"é".repeat(32)), None, "64 bytes, and no digits");
    }
}
