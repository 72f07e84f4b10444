//! What a mailbox holds: any message an actor handles, or the closed list it declares.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::actor::{Actor, Context, Handler};
use crate::cell::place::BoxFuture;
use crate::message::encoding::encoded;
use crate::message::envelope::{Parcel, answer_from_bytes};
use crate::message::reply::ErasedReply;
use crate::message::{Envelope, Failure, Head, Message, NoReply, Verdict, message_name};
use crate::sync::drop_quietly;

/// The kind of message a mailbox holds. Made by [`Open`] or [`inbox!`](crate::inbox!), not by hand.
pub trait Inbox<A: Actor>: Parcel {
    /// Delivers the message.
    #[doc(hidden)]
    fn run(self, actor: &mut A, cx: &mut Context<'_, A>) -> impl Future<Output = Verdict> + Send;
}

/// An inbox that takes messages of type `M`.
pub trait Accepts<M: Message, A: Actor>: Inbox<A> {
    /// Puts the envelope into the inbox's own form.
    #[doc(hidden)]
    fn wrap(envelope: Envelope<M>) -> Self;

    /// The way back, for a message that was not delivered.
    #[doc(hidden)]
    fn unwrap(self) -> Option<Envelope<M>>;
}

// ---- open ----

/// An inbox for any message the actor handles: nothing to declare, two allocations a message.
pub struct Open<A: Actor>(Box<dyn Erased<A>>);

trait Erased<A: Actor>: Send {
    fn reply(&self) -> Option<ErasedReply>;
    fn again(&self) -> Option<Open<A>>;
    fn without_asker(self: Box<Self>) -> Open<A>;
    fn run<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<'_, A>) -> BoxFuture<'a, Verdict>;
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
}

impl<M: Message, A: Handler<M> + Actor<Inbox = Open<A>>> Erased<A> for Envelope<M> {
    fn reply(&self) -> Option<ErasedReply> {
        Parcel::reply(self)
    }
    fn again(&self) -> Option<Open<A>> {
        Parcel::again(self).map(|twin| Open(Box::new(twin)))
    }
    fn without_asker(self: Box<Self>) -> Open<A> {
        Open(Box::new(Parcel::without_asker(*self)))
    }
    fn run<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<'_, A>) -> BoxFuture<'a, Verdict> {
        Box::pin(async move { Envelope::run(*self, actor, cx).await })
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

impl<A: Actor> Parcel for Open<A> {
    fn reply(&self) -> Option<ErasedReply> {
        self.0.reply()
    }
    fn again(&self) -> Option<Self> {
        self.0.again()
    }
    fn without_asker(self) -> Self {
        self.0.without_asker()
    }
}

impl<A: Actor> Inbox<A> for Open<A> {
    async fn run(self, actor: &mut A, cx: &mut Context<'_, A>) -> Verdict {
        self.0.run(actor, cx).await
    }
}

impl<M: Message, A: Handler<M> + Actor<Inbox = Open<A>>> Accepts<M, A> for Open<A> {
    fn wrap(envelope: Envelope<M>) -> Self {
        Open(Box::new(envelope))
    }
    fn unwrap(self) -> Option<Envelope<M>> {
        self.0.into_any().downcast().ok().map(|envelope| *envelope)
    }
}

// ---- declared ----

/// A message that can be stored: serde both ways, a stable [`Message::NAME`], a version.
///
/// ```
/// use greenroom_runtime::{DurableMessage, Message};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct NewTicket { text: String }
///
/// impl Message for NewTicket {
///     type Reply = u64;
///     const NAME: Option<&'static str> = Some("new-ticket");
/// }
/// impl DurableMessage for NewTicket {}
/// ```
pub trait DurableMessage:
    Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned
{
    /// Makes the message out of bytes that an older version wrote.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownVersion`] (the default) names both versions.
    fn upgrade(version: u16, _bytes: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::UnknownVersion {
            name: message_name::<Self>(),
            stored: version,
            known: Self::VERSION,
        })
    }
}

/// Why stored bytes are no message of an inbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The inbox lists no message of that name. Keep the type, or drain the actor before removing it.
    #[error("this inbox takes no message `{name}` (version {version})")]
    UnknownMessage {
        /// Name of the stored message.
        name: String,
        /// Its version.
        version: u16,
    },
    /// Nobody wrote how to get from the stored version to this program's.
    #[error("the message `{name}` is stored as version {stored}, this program knows version {known}")]
    UnknownVersion {
        /// Name of the message.
        name: &'static str,
        /// Version of the stored bytes.
        stored: u16,
        /// Version of this program.
        known: u16,
    },
    /// The bytes cannot be read as this message.
    #[error("the stored message cannot be read")]
    Bytes(#[from] rmp_serde::decode::Error),
}

/// A declared inbox whose messages can be stored and read back; made by `inbox!(durable …)`.
pub trait DurableInbox: Sized {
    /// Name and version of each message it takes.
    const KNOWN: &'static [(&'static str, u16)];

    /// Reads a message back.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; the bytes are untouched, so keep them.
    fn decode(name: &str, version: u16, bytes: &[u8]) -> Result<Self, DecodeError>;

    /// The bytes of the message, by field name.
    ///
    /// # Errors
    ///
    /// What serde says of a value that has no such form.
    fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error>;

    /// The head of such a message that nobody has sent yet.
    #[doc(hidden)]
    fn head(&self) -> Head;

    /// Answers whoever asked, if anybody did, with the stored form of an answer.
    #[doc(hidden)]
    fn answer(self, answer: &[u8]);
}

/// The head of a message of type `M` that nobody has sent yet. Called by code that [`inbox!`](crate::inbox!) writes.
#[doc(hidden)]
pub fn blank_head<M: Message>(_: &Envelope<M>) -> Head {
    Head::of::<M>()
}

/// Answers whoever asked with this message. Called by code that [`inbox!`](crate::inbox!) writes.
#[doc(hidden)]
pub fn answer_from<M: DurableMessage>(envelope: Envelope<M>, answer: &[u8]) {
    match answer_from_bytes(answer) {
        Ok(Some(answer)) => drop_quietly(envelope.reply.answer(answer)),
        // Done, and answered from elsewhere: the answer is not in the record.
        Ok(None) => envelope.reply.give_up(NoReply::Dropped),
        Err(error) => envelope.reply.give_up(NoReply::Failed(Failure::bug(error))),
    }
}

/// Reads one message, of this version or an older one. Called by code that [`inbox!`](crate::inbox!) writes.
#[doc(hidden)]
pub fn upgrade_from<M: DurableMessage>(version: u16, bytes: &[u8]) -> Result<M, DecodeError> {
    if version == M::VERSION { Ok(rmp_serde::from_slice(bytes)?) } else { M::upgrade(version, bytes) }
}

/// Whether all names are there and differ. Called at compile time by [`inbox!`](crate::inbox!).
#[doc(hidden)]
pub const fn distinct(names: &[Option<&str>]) -> bool {
    let mut i = 0;
    while i < names.len() {
        let Some(name) = names[i] else { return false };
        let mut j = i + 1;
        while j < names.len() {
            if let Some(other) = names[j]
                && same(name.as_bytes(), other.as_bytes())
            {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Declares what an actor's mailbox takes, as an enum: no allocation per message, and
/// a message that is not listed does not compile.
///
/// ```
/// use greenroom_runtime::{Actor, Context, Failure, Handler, Message, inbox};
///
/// struct Desk;
/// struct NewTicket(String);
/// struct Close(u64);
/// impl Message for NewTicket { type Reply = u64; }
/// impl Message for Close { type Reply = (); }
///
/// inbox!(pub DeskInbox for Desk: NewTicket, Close);
///
/// impl Actor for Desk {
///     type Args = ();
///     type Inbox = DeskInbox;
///     async fn start(_: &()) -> Result<Self, Failure> { Ok(Desk) }
/// }
/// impl Handler<NewTicket> for Desk {
///     async fn handle(&mut self, _m: NewTicket, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> { Ok(1) }
/// }
/// impl Handler<Close> for Desk {
///     async fn handle(&mut self, _m: Close, _cx: &mut Context<'_, Self>) -> Result<(), Failure> { Ok(()) }
/// }
/// ```
///
/// `inbox!(durable pub DeskInbox for Desk: …)` asks more of the messages ([`DurableMessage`](crate::DurableMessage))
/// and gives [`DurableInbox`](crate::DurableInbox): bytes and back. A message that is not listed does not compile;
/// nor do two with one name. A message of a durable inbox comes again after a crash even without
/// [`Message::again`](crate::Message::again), from its bytes.
#[macro_export]
macro_rules! inbox {
    (durable $vis:vis $name:ident for $actor:ty : $($message:ident),+ $(,)?) => {
        $crate::inbox!(@enum $vis $name for $actor : $($message),+ ; run_stored);
        const _: () = assert!(
            $crate::inbox_parts::distinct(&[$(<$message as $crate::Message>::NAME),+]),
            "each message of a durable inbox needs a NAME of its own"
        );
        impl $crate::DurableInbox for $name {
            const KNOWN: &'static [(&'static str, u16)] = &[$((
                match <$message as $crate::Message>::NAME { Some(name) => name, None => "" },
                <$message as $crate::Message>::VERSION,
            )),+];
            fn decode(name: &str, version: u16, bytes: &[u8]) -> Result<Self, $crate::DecodeError> {
                $(if <$message as $crate::Message>::NAME == Some(name) {
                    return Ok(Self::$message($crate::Envelope::restored(
                        $crate::inbox_parts::upgrade_from::<$message>(version, bytes)?,
                    )));
                })+
                Err($crate::DecodeError::UnknownMessage { name: name.to_owned(), version })
            }
            fn encode(&self) -> Result<Vec<u8>, $crate::inbox_parts::rmp_serde::encode::Error> {
                match self { $(Self::$message(envelope) => $crate::inbox_parts::stored_bytes(envelope.message())),+ }
            }
            fn head(&self) -> $crate::Head {
                match self { $(Self::$message(envelope) => $crate::inbox_parts::blank_head(envelope)),+ }
            }
            fn answer(self, answer: &[u8]) {
                match self { $(Self::$message(envelope) => $crate::inbox_parts::answer_from(envelope, answer)),+ }
            }
        }
        $crate::inbox!(@parcel $name : $($message),+ ; |envelope| $crate::inbox_parts::again_from_bytes(envelope));
    };
    ($vis:vis $name:ident for $actor:ty : $($message:ident),+ $(,)?) => {
        $crate::inbox!(@enum $vis $name for $actor : $($message),+ ; run);
        $crate::inbox!(@parcel $name : $($message),+ ; |envelope| $crate::inbox_parts::Parcel::again(envelope));
    };
    (@enum $vis:vis $name:ident for $actor:ty : $($message:ident),+ ; $run:ident) => {
        /// What the mailbox takes.
        $vis enum $name {
            $(
                #[doc(hidden)]
                $message($crate::Envelope<$message>)
            ),+
        }
        $(impl $crate::Accepts<$message, $actor> for $name {
            fn wrap(envelope: $crate::Envelope<$message>) -> Self { Self::$message(envelope) }
            fn unwrap(self) -> Option<$crate::Envelope<$message>> {
                #[allow(unreachable_patterns, reason = "an inbox of one message has one variant")]
                match self { Self::$message(envelope) => Some(envelope), _ => None }
            }
        })+
        impl $crate::Inbox<$actor> for $name {
            fn run(
                self,
                actor: &mut $actor,
                cx: &mut $crate::Context<'_, $actor>,
            ) -> impl ::std::future::Future<Output = $crate::inbox_parts::Verdict> + Send {
                // Not an `async fn`, which would keep room for each argument twice.
                async move { match self { $(Self::$message(envelope) => envelope.$run(actor, cx).await),+ } }
            }
        }
    };
    (@parcel $name:ident : $($message:ident),+ ; |$envelope:ident| $again:expr) => {
        impl $crate::inbox_parts::Parcel for $name {
            fn reply(&self) -> Option<$crate::inbox_parts::ErasedReply> {
                match self { $(Self::$message(e) => $crate::inbox_parts::Parcel::reply(e)),+ }
            }
            fn again(&self) -> Option<Self> {
                match self { $(Self::$message($envelope) => $again.map(Self::$message)),+ }
            }
            fn without_asker(self) -> Self {
                match self { $(Self::$message(e) => Self::$message($crate::inbox_parts::Parcel::without_asker(e))),+ }
            }
        }
    };
}

/// The copy of a durable message: the author's own, or one made of its bytes.
#[doc(hidden)]
pub fn again_from_bytes<M: DurableMessage>(envelope: &Envelope<M>) -> Option<Envelope<M>> {
    let message = envelope.message();
    let of_bytes = || encoded(message, |bytes| rmp_serde::from_slice(bytes).ok()).ok()?;
    let again = message.again().or_else(of_bytes)?;
    Some(envelope.twin(again))
}

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "`inbox!` cannot expect a warning that only inboxes of one message give"
)]
mod tests {
    use serde::Deserialize;

    use super::*;

    struct Desk;

    #[derive(Serialize, Deserialize)]
    struct NewTicket {
        text: String,
        priority: u8,
    }

    #[derive(Serialize, Deserialize)]
    struct Count;

    impl Message for NewTicket {
        type Reply = u64;
        const NAME: Option<&'static str> = Some("new-ticket");
        const VERSION: u16 = 2;
    }
    impl DurableMessage for NewTicket {
        fn upgrade(version: u16, bytes: &[u8]) -> Result<Self, DecodeError> {
            if version != 1 {
                return Err(DecodeError::UnknownVersion {
                    name: "new-ticket",
                    stored: version,
                    known: Self::VERSION,
                });
            }
            // Version 1 was the text alone.
            Ok(NewTicket { text: rmp_serde::from_slice(bytes)?, priority: 0 })
        }
    }
    impl Message for Count {
        type Reply = u64;
        const NAME: Option<&'static str> = Some("count");
    }
    impl DurableMessage for Count {}

    crate::inbox!(durable DeskInbox for Desk: NewTicket, Count);

    impl Actor for Desk {
        type Args = ();
        type Inbox = DeskInbox;
        async fn start(_: &()) -> Result<Self, Failure> {
            Ok(Desk)
        }
    }
    impl Handler<NewTicket> for Desk {
        async fn handle(&mut self, m: NewTicket, _: &mut Context<'_, Self>) -> Result<u64, Failure> {
            Ok(m.text.len() as u64)
        }
    }
    impl Handler<Count> for Desk {
        async fn handle(&mut self, _: Count, _: &mut Context<'_, Self>) -> Result<u64, Failure> {
            Ok(0)
        }
    }

    fn decoded(name: &str, version: u16, bytes: &[u8]) -> Result<NewTicket, DecodeError> {
        DeskInbox::decode(name, version, bytes).map(|inbox| match inbox {
            DeskInbox::NewTicket(envelope) => envelope.message,
            DeskInbox::Count(_) => panic!("another message came back"),
        })
    }

    #[test]
    fn a_stored_message_comes_back_as_it_was() {
        let ticket = NewTicket { text: "my lamp is dark".into(), priority: 3 };
        let bytes = DeskInbox::NewTicket(Envelope::told(ticket)).encode().unwrap();

        let ticket = decoded("new-ticket", 2, &bytes).unwrap();

        assert_eq!((&*ticket.text, ticket.priority), ("my lamp is dark", 3));
        assert_eq!(DeskInbox::KNOWN, [("new-ticket", 2), ("count", 1)]);
    }

    #[test]
    fn an_older_stored_message_is_upgraded_and_an_unknown_one_names_both_versions() {
        let old = rmp_serde::to_vec_named("my lamp is dark").unwrap();

        assert_eq!(decoded("new-ticket", 1, &old).unwrap().text, "my lamp is dark");
        let errors = [decoded("new-ticket", 9, &old), decoded("count", 9, &old), decoded("gone", 1, &old)];
        let texts = errors.map(|decoded| decoded.map(drop).unwrap_err().to_string());
        assert_eq!(
            texts,
            [
                "the message `new-ticket` is stored as version 9, this program knows version 2",
                "the message `count` is stored as version 9, this program knows version 1",
                "this inbox takes no message `gone` (version 1)",
            ]
        );
    }
}
