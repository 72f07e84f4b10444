//! A library with one copy of one book: replies, deadlines, and errors that hand the message back.
//!
//! `cargo run --example ask_and_tell`

use std::time::Duration;

use greenroom::prelude::*;

struct Book(&'static str);

struct Borrow;
impl Message for Borrow {
    type Reply = Book;
}

struct Return(Book);
impl Message for Return {
    type Reply = ();
}

struct Library {
    shelf: Vec<Book>,
    in_line: Vec<ReplyPort<Book>>, // whoever waits longest is last
}

impl Actor for Library {
    type Args = ();
    type Inbox = Open<Self>;

    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Library { shelf: vec![Book("Momo")], in_line: Vec::new() })
    }
}

impl Handler<Borrow> for Library {
    async fn handle(&mut self, _: Borrow, cx: &mut Context<'_, Self>) -> Result<Book, Failure> {
        match self.shelf.pop() {
            Some(book) => Ok(book),
            // To wait here would keep `Return` waiting too. The port answers when the book is back.
            None => cx.reply_later(|port| self.in_line.insert(0, port)),
        }
    }
}

impl Handler<Return> for Library {
    async fn handle(&mut self, Return(mut book): Return, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        while let Some(reader) = self.in_line.pop() {
            let Err(back) = reader.send(book) else { return Ok(()) };
            book = back; // that reader has given up: the next one
        }
        self.shelf.push(book);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::builder().start().await?;
    let library = runtime.spawn_spec(ActorSpec::<Library>::new("library", ()).capacity(1)).await?;

    let momo = library.ask(Borrow).await?;
    println!("borrowed: {}", momo.0);
    if let Err(late) = library.ask(Borrow).within(Duration::from_millis(20)).await {
        println!("in vain: {late}");
    }

    let give_back = async {
        // The other reader's message fills the mailbox, and nobody runs between: this is the only thread.
        let full = library.try_tell(Return(momo)).expect_err("there is room for one message");
        println!("not now: {full}");
        library.tell(full.into_message()).await // the book was in the error; now wait for room
    };
    let (other_reader, given_back) = tokio::join!(library.ask(Borrow), give_back);
    given_back?;
    println!("passed on: {}", other_reader?.0);

    runtime.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
