//! Amounts that may not be 0, for nothing would work or be kept.

use super::names::wrong;
use crate::gateway::cache::settings::CacheSettings;
use crate::gateway::server::queue::settings::QueueSettings;
use crate::gateway::settings::{Limits, Settings};

/// A setting, whether it is 0, and what it does then.
type Zero = (&'static str, bool, &'static str);

/// Refuses a gateway that would answer nothing, or keep nothing of what it is to keep.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    let queue = settings.queue.iter().flat_map(of_queue);
    let cache = settings.cache.iter().flat_map(of_cache);
    let mut all = of_limits(&settings.limits).into_iter().chain(queue).chain(cache);
    if let Some((name, _, what)) = all.find(|it| it.1) {
        return Err(wrong(name, &format!("it is 0, so {what}; give it more, or leave it out")));
    }
    match settings.keys.iter().find(|it| it.per_minute == Some(0)) {
        Some(key) => {
            let what =
                "its `per_minute` is 0, so it could make no call; leave it out for any number";
            Err(wrong(&key.name, what))
        }
        None => Ok(()),
    }
}

fn of_limits(limits: &Limits) -> [Zero; 9] {
    [
        ("limits.connections", limits.connections == 0, "no client would ever be answered"),
        ("limits.request_bytes", limits.request_bytes == 0, "every request would be too large"),
        ("limits.answer_bytes", limits.answer_bytes == 0, "every answer would be too large"),
        ("limits.request_ms", limits.request_ms.0 == 0, "every request would come too late"),
        ("limits.connect_ms", limits.connect_ms.0 == 0, "no provider could be reached in time"),
        ("limits.first_token_ms", limits.first_token_ms.0 == 0, "every answer would come too late"),
        ("limits.total_ms", limits.total_ms.0 == 0, "every call would be over before it is made"),
        (
            "limits.stalled_ms",
            limits.stalled_ms.0 == 0,
            "every client would be taken for one that does not read",
        ),
        (
            "limits.default_max_output",
            limits.default_max_output == 0,
            "nothing would be held for the answers to requests without a limit",
        ),
    ]
}

fn of_queue(queue: &QueueSettings) -> [Zero; 13] {
    [
        ("queue.concurrency", queue.concurrency == 0, "no item would ever be carried out"),
        ("queue.items_per_team", queue.items_per_team == 0, "no item would be taken"),
        ("queue.request_bytes", queue.request_bytes == 0, "every request would be too large"),
        ("queue.answer_bytes", queue.answer_bytes == 0, "every answer would be too large"),
        ("queue.total_bytes", queue.total_bytes == 0, "no item would be taken"),
        ("queue.call_ms", queue.call_ms.0 == 0, "every call would be over before it is made"),
        ("queue.deadline_ms", queue.deadline_ms.0 == 0, "every item would come too late"),
        ("queue.kept_ms", queue.kept_ms.0 == 0, "no answer would be there to be fetched"),
        ("queue.tries", queue.tries == 0, "no item would ever be tried"),
        ("queue.look_ms", queue.look_ms.0 == 0, "it would be looked for items without a pause"),
        ("queue.lease_ms", queue.lease_ms.0 == 0, "each process would take the items of others"),
        ("queue.batch_items", queue.batch_items == 0, "no item would fit into a batch"),
        ("queue.batch_bytes", queue.batch_bytes == 0, "no item would fit into a batch"),
    ]
}

fn of_cache(cache: &CacheSettings) -> [Zero; 3] {
    let has_redis = cache.redis.is_some() || cache.redis_variable.is_some();
    [
        ("cache.entry_bytes", cache.entry_bytes == 0, "no answer would be kept"),
        ("cache.memory_bytes", cache.memory_bytes == 0 && !has_redis, "no answer would be kept"),
        ("cache.redis_ms", cache.redis_ms.0 == 0 && has_redis, "Redis would never answer in time"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings;

    fn why(text: &str) -> String {
        let settings = settings::read(text).unwrap();
        check(&settings).err().unwrap_or_else(|| "good".to_owned())
    }

    #[test]
    fn a_limit_of_0_that_lets_nothing_be_done_is_named() {
        assert_eq!(
            why("limits = { connections = 0 }"),
            "`limits.connections`: it is 0, so no client would ever be answered; give it more, or leave it out"
        );
        for name in [
            "request_bytes",
            "answer_bytes",
            "request_ms",
            "connect_ms",
            "first_token_ms",
            "total_ms",
            "stalled_ms",
            "default_max_output",
        ] {
            let zero = why(&format!("limits = {{ {name} = 0 }}"));
            assert!(zero.starts_with(&format!("`limits.{name}`: it is 0")), "{zero}");
            assert_eq!(why(&format!("limits = {{ {name} = 1 }}")), "good", "{name}");
        }
    }

    #[test]
    fn a_queue_or_a_cache_of_0_is_named() {
        for name in ["items_per_team", "total_bytes", "kept_ms", "look_ms", "lease_ms", "tries"] {
            let zero = why(&format!("[queue]\n{name} = 0"));
            assert!(zero.starts_with(&format!("`queue.{name}`: it is 0")), "{zero}");
        }
        assert!(why("[queue]\nbatch_bytes = 0").starts_with("`queue.batch_bytes`: it is 0"));
        assert!(why("[cache]\nentry_bytes = 0").starts_with("`cache.entry_bytes`: it is 0"));
        assert!(why("[cache]\nmemory_bytes = 0").starts_with("`cache.memory_bytes`: it is 0"));
        let shared = "[cache]\nredis_variable = \"R\"\n";
        assert_eq!(why(&format!("{shared}memory_bytes = 0")), "good");
        assert!(why(&format!("{shared}redis_ms = 0")).starts_with("`cache.redis_ms`: it is 0"));
        for good in ["[queue]\nretry_ms = 0", "[cache]\nttl_seconds = 0\nwaiters = 0\nwait_ms = 0"]
        {
            assert_eq!(why(good), "good", "{good}");
        }
    }

    #[test]
    fn a_key_that_may_make_no_call_is_named() {
        let key = |number: u64| {
            why(&format!("[[key]]\nname = \"ci\"\nvariable = \"K\"\nper_minute = {number}"))
        };
        assert!(key(0).starts_with("`ci`: its `per_minute` is 0"), "{}", key(0));
        assert_eq!(key(1), "good");
    }
}
