//! Looks into a store that no runtime has open, and puts right what needs a person.
//!
//! ```text
//! cargo run --example store_tool -- my-store list
//! cargo run --example store_tool -- my-store show desk/cases/17
//! cargo run --example store_tool -- my-store take-up desk/cases/17 4711
//! ```
//!
//! A copy of the folder is made in a moment; make one before you change anything.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use comfy_table::{Table, presets};
use greenroom::{
    ActorPath, Batch, BatchOutcome, DamagePlace, Delivered, MessageId, Record, Scan, SledStore, Store,
    StoredMessage,
};

/// Looks into a store of Greenroom that no runtime has open, and puts right what needs a person.
#[derive(Parser)]
struct Args {
    /// The folder of the store.
    store: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every actor: its life, its state, and how much it has to see to.
    List,
    /// One actor: what waits, its journals, timers, damage, and what was laid aside.
    Show { actor: ActorPath },
    /// Puts a message that was laid aside back into the inbox.
    TakeUp { actor: ActorPath, message: u64 },
    /// Takes a message that waits out of the inbox and lays it aside, so that the actor goes on with the next.
    LayAside { actor: ActorPath, message: u64 },
    /// Deletes the journal of a message: each of its steps is made again.
    StartOver { actor: ActorPath, message: u64 },
    /// Deletes a message that was laid aside, for good.
    Forget { actor: ActorPath, message: u64 },
    /// Says all that is known of a message that waits or was laid aside, with its content.
    Inspect { actor: ActorPath, message: u64 },
    /// Deletes all messages of an actor that were laid aside, for good.
    Purge { actor: ActorPath },
    /// Deletes everything that is kept of an actor, for good.
    Erase { actor: ActorPath },
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("store_tool: {}", greenroom::Chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(Args { store, what }: Args) -> Result<(), Box<dyn Error>> {
    if !store.is_dir() {
        return Err(format!("there is no folder {}", store.display()).into());
    }
    let store = SledStore::open(store)?;
    let _owner = store.own()?;
    // What is put right here is no end of a process that somebody should count.
    let ended_in_order = store.head()?.ended_in_order;
    carry_out(&store, what)?;
    if ended_in_order { Ok(store.end()?) } else { Ok(()) }
}

fn carry_out(store: &SledStore, what: What) -> Result<(), Box<dyn Error>> {
    match what {
        What::List => list(store),
        What::Show { actor } => show(store, &actor),
        What::TakeUp { actor, message } => {
            let record = Record::Return { to: actor, message: MessageId(message) };
            match write(store, Batch::from_outside(vec![record]))?.first() {
                Some(Delivered::New(id)) => println!("it waits again, as message {id}"),
                _ => return Err(format!("no message {message} was laid aside there").into()),
            }
            Ok(())
        }
        What::LayAside { actor, message } => {
            let scan = waiting(store, &actor, message)?;
            let (message, cause) = (MessageId(message), "laid aside by hand".to_owned());
            write(store, Batch::of(actor, scan.epoch, vec![Record::LayAside { message, cause }]))?;
            println!("laid aside; the actor goes on with the next");
            Ok(())
        }
        What::StartOver { actor, message } => {
            let scan = waiting(store, &actor, message)?;
            let found = scan.inbox.iter().find(|waiting| waiting.id.0 == message);
            let origin = found.map_or(MessageId(message), |waiting| waiting.origin);
            let steps = scan.journal.iter().filter(|entry| entry.message == origin).count();
            write(store, Batch::of(actor, scan.epoch, vec![Record::ForgetJournal { message: origin }]))?;
            println!("its journal of {steps} entries is deleted: each of its steps is made again");
            Ok(())
        }
        What::Forget { actor, message } => {
            let message = MessageId(message);
            write(store, Batch::from_outside(vec![Record::Forget { of: actor, message }]))?;
            println!("deleted");
            Ok(())
        }
        What::Inspect { actor, message } => inspect(store, &actor, MessageId(message)),
        What::Purge { actor } => {
            let mut ids: BTreeSet<_> =
                store.laid_aside(&actor)?.iter().map(|aside| aside.message.id).collect();
            ids.extend(store.scan(&actor)?.damage.iter().filter_map(|damage| match damage.place {
                DamagePlace::LaidAside { id } => Some(id),
                _ => None,
            }));
            let forget = ids.iter().map(|id| Record::Forget { of: actor.clone(), message: *id });
            write(store, Batch::from_outside(forget.collect()))?;
            println!("{} deleted", ids.len());
            Ok(())
        }
        What::Erase { actor } => {
            write(store, Batch::from_outside(vec![Record::Erase { of: actor }]))?;
            println!("deleted");
            Ok(())
        }
    }
}

fn list(store: &SledStore) -> Result<(), Box<dyn Error>> {
    let mut table = table(&["actor", "life", "state", "waits", "journal", "timers", "aside", "damage"]);
    let actors = store.actors()?;
    for actor in &actors {
        let scan = store.scan(actor)?;
        let state = scan.snapshot.as_ref();
        let state = state.map_or("-".to_owned(), |state| {
            format!("{} v{}, {} bytes", state.type_name, state.version, state.state.len())
        });
        table.add_row([
            actor.to_string(),
            scan.epoch.0.to_string(),
            state,
            scan.inbox.len().to_string(),
            scan.journal.len().to_string(),
            scan.timers.len().to_string(),
            store.laid_aside(actor)?.len().to_string(),
            scan.damage.len().to_string(),
        ]);
    }
    println!("{table}");
    println!("{} actors; `show ACTOR` says more of one", actors.len());
    Ok(())
}

fn show(store: &SledStore, actor: &ActorPath) -> Result<(), Box<dyn Error>> {
    let (scan, aside) = (store.scan(actor)?, store.laid_aside(actor)?);
    if scan == Scan::default() && aside.is_empty() {
        return Err(format!("nothing is kept of {actor}").into());
    }
    let mut mail = table(&["message", "type", "from", "fell", "opened", "steps", "bytes"]);
    for message in &scan.inbox {
        mail.add_row(row(message, &scan));
    }
    println!("{actor}, life {}: {} messages wait\n{mail}", scan.epoch.0, scan.inbox.len());
    if !scan.timers.is_empty() {
        let mut timers = table(&["timer", "due, ms since 1970", "every, ms", "sends"]);
        for timer in &scan.timers {
            let every = timer.every_ms.map_or("-".to_owned(), |every| every.to_string());
            let sends = timer.message.name.clone();
            timers.add_row([timer.name.clone(), timer.due_ms.to_string(), every, sends]);
        }
        println!("\n{timers}");
    }
    if !aside.is_empty() {
        let mut table = table(&["laid aside", "type", "from", "cause"]);
        for aside in &aside {
            let message = &aside.message;
            table.add_row([message.id.to_string(), message.name.clone(), from(message), aside.cause.clone()]);
        }
        println!("\n{table}\n`take-up {actor} MESSAGE` when the cause is mended");
    }
    scan.damage.iter().for_each(|damage| println!("damage: {damage}"));
    Ok(())
}

fn inspect(store: &SledStore, actor: &ActorPath, id: MessageId) -> Result<(), Box<dyn Error>> {
    let (waiting, aside) = (store.scan(actor)?.inbox, store.laid_aside(actor)?);
    let aside = aside.into_iter().map(|aside| (aside.message, Some(aside.cause)));
    let mut all = waiting.into_iter().map(|message| (message, None)).chain(aside);
    let (message, cause) =
        all.find(|(message, _)| message.id == id).ok_or_else(|| format!("{actor} has no message {id}"))?;
    println!("{} v{}, from {}", message.name, message.version, from(&message));
    message.request.iter().for_each(|request| println!("request id: {request}"));
    message.expires_ms.iter().for_each(|at| println!("expires: {at} ms since 1970"));
    cause.iter().for_each(|cause| println!("laid aside: {cause}"));
    match rmp_serde::from_slice::<serde_json::Value>(&message.body) {
        Ok(content) => println!("{content:#}"),
        Err(_) => println!("{} bytes that are no text: {:02x?}", message.body.len(), message.body),
    }
    Ok(())
}

fn row(message: &StoredMessage, scan: &Scan) -> [String; 7] {
    let steps = scan.journal.iter().filter(|entry| entry.message == message.origin).count();
    [
        message.id.to_string(),
        format!("{} v{}", message.name, message.version),
        from(message),
        message.tries.falls.to_string(),
        message.tries.openings.to_string(),
        steps.to_string(),
        message.body.len().to_string(),
    ]
}

fn from(message: &StoredMessage) -> String {
    message.sender.as_ref().map_or("outside".to_owned(), ToString::to_string)
}

fn waiting(store: &SledStore, actor: &ActorPath, message: u64) -> Result<Scan, Box<dyn Error>> {
    let scan = store.scan(actor)?;
    match scan.inbox.iter().any(|waiting| waiting.id.0 == message) {
        true => Ok(scan),
        false => Err(format!("no message {message} waits for {actor}").into()),
    }
}

fn write(store: &SledStore, batch: Batch) -> Result<Vec<Delivered>, Box<dyn Error>> {
    match store.commit(&[batch])?.pop() {
        Some(BatchOutcome::Committed { deliveries, .. }) => Ok(deliveries),
        Some(BatchOutcome::Stale { stored }) => {
            Err(format!("the actor has begun life {} meanwhile", stored.0).into())
        }
        Some(BatchOutcome::Conflict { case, .. }) => Err(format!("case {case} is not as it was").into()),
        None => Err("the store did not answer".into()),
    }
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.iter().map(|cell| (*cell).to_owned()));
    table
}
