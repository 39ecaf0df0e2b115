//! Batches that a dead process may have handed over: looked for, until it is certain what became of them.

use super::*;

fn lot(item: &Value) -> Value {
    let mut item = item.clone();
    item["path"] = json!("/v1/messages");
    item["body"]["model"] = json!("m-lot");
    item
}

impl Process {
    /// Stops it where the provider does not answer.
    async fn die_at(self, provider: &Provider) {
        until("it comes to that", || provider.lock().is_stopped).await;
        provider.lock().is_stopped = false;
        self.end().await;
    }
}

#[tokio::test]
async fn two_batches_of_one_size_are_not_taken_for_one_another_for_good() {
    let (provider, place) = (Provider::new().await, Place::new());
    let store = place.store().await;
    provider.lock().stop = Some(Stop::Asked);
    let first = Process::new(&place, &provider, &store).await;
    let never_there = submit(&first.world, &lot(&ask(&json!({})))).await;
    first.die_at(&provider).await;
    // The next one is there, and nobody hears of it.
    provider.lock().stop = Some(Stop::Taken);
    let second = Process::new(&place, &provider, &store).await;
    let there = submit(&second.world, &lot(&ask(&json!({})))).await;
    second.die_at(&provider).await;
    let taken = provider.lock().batches.clone();
    let is_there = |id: &String| taken.iter().any(|it| it.requests[0].0.starts_with(id.as_str()));
    assert_eq!(taken.len(), 1);

    let third = Process::new(&place, &provider, &store).await;
    for id in [&never_there, &there] {
        until_ended(&third.world, &provider, id).await;
    }
    third.end().await;
    assert!(is_there(&there) && !is_there(&never_there));
    assert_eq!(provider.lock().batches.len(), 2, "each once");
    assert_eq!(total(&store).await, (2, UsdNanos(2 * COST)));
    assert_eq!(granted(&store).await, 0);
}

/// Ends what the provider has, until an item is done.
async fn until_ended(world: &World, provider: &Provider, id: &str) {
    for _ in 0..1500 {
        let has_open = provider.lock().batches.last().is_some_and(|it| it.lines.is_none());
        if has_open {
            provider.finish(|_, _| Fate::Answered);
        }
        if show(world, id).await["state"] == "done" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never ends: {}", show(world, id).await);
}

#[tokio::test]
async fn a_batch_that_may_be_there_waits_for_its_key() {
    let (provider, place) = (Provider::new().await, Place::new());
    let store = place.store().await;
    provider.lock().stop = Some(Stop::Taken);
    let first = Process::new(&place, &provider, &store).await;
    let id = submit(&first.world, &ask(&json!({}))).await;
    first.die_at(&provider).await;
    // The key is another one, for a while.
    let settings = format!("{SETTINGS}{}", provider.settings());
    let settings = settings.replace("[\"PROVIDER_KEY\"]", "[\"OTHER_KEY\"]");
    let second = Process::with(&place, &settings, &store).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(show(&second.world, &id).await["state"], "running");
    second.end().await;
    let third = Process::new(&place, &provider, &store).await;
    until_ended(&third.world, &provider, &id).await;
    third.end().await;
    let bank = provider.lock();
    assert_eq!((bank.batches.len(), bank.live), (1, 0));
}

#[tokio::test]
async fn a_batch_is_handed_over_again_only_when_all_there_are_were_looked_through() {
    let (provider, place) = (Provider::new().await, Place::new());
    let store = place.store().await;
    provider.lock().stop = Some(Stop::Asked);
    let first = Process::new(&place, &provider, &store).await;
    let id = submit(&first.world, &ask(&json!({}))).await;
    first.die_at(&provider).await;
    provider.lock().is_endless = true;
    let second = Process::new(&place, &provider, &store).await;
    // It has given up once, and looks again.
    until("it looks again", || provider.lock().lists > 120).await;
    let (batches, uploads) = {
        let mut bank = provider.lock();
        bank.is_endless = false;
        (bank.batches.len(), bank.uploads)
    };
    assert_eq!((batches, uploads), (0, 1), "nobody knows whether it is there");
    until_ended(&second.world, &provider, &id).await;
    second.end().await;
    assert_eq!(provider.lock().batches.len(), 1);
}
