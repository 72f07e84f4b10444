//! One assistant per customer, started when the customer comes.

use greenroom::agents::assistant::{Agents, Assistant, AssistantArgs, Look, Say};
use greenroom::{DynamicRef, DynamicSupervisor, MemoryStore, ModelRequest, Runtime, SuperviseExt, Turn};

use crate::support::{Calls, agent, process, soon, text_of};

async fn start(disk: &MemoryStore, calls: &Calls) -> (Runtime, DynamicRef<Assistant>) {
    let counts = |request: &ModelRequest| {
        let users = request.history().turns().iter().filter(|turn| matches!(turn, Turn::User { .. }));
        users.count().to_string()
    };
    let agents = Agents::new().with(agent(calls, counts).build().unwrap());
    let runtime = Runtime::builder().store(disk.clone()).resource(agents).start().await.unwrap();
    let assistants = DynamicSupervisor::<Assistant>::named("assistants").durable();
    let assistants = runtime.supervise(assistants).await.unwrap().dynamic();
    (runtime, assistants)
}

#[test]
fn each_customer_has_a_conversation_of_their_own_that_comes_back() {
    let (disk, calls) = (MemoryStore::new(), Calls::default());
    let desk = || AssistantArgs { agent: "desk".into() };
    process(async {
        let (_runtime, assistants) = start(&disk, &calls).await;
        for (customer, number) in [("ann", "1"), ("bob", "1"), ("ann", "2")] {
            let actor = match assistants.get(customer) {
                Ok(actor) => actor,
                Err(_) => assistants.start(customer, desk()).await.unwrap(),
            };
            assert_eq!(text_of(&soon(actor.ask(Say("hello".into()))).await.unwrap()), number, "{customer}");
        }
        // Killed in the middle of Ann's third question.
        calls.hang_in(Some("model 0"));
        assistants.get("ann").unwrap().tell(Say("still there?".into())).await.unwrap();
        calls.hung().await;
    });
    calls.hang_in(None);
    process(async {
        let (_runtime, assistants) = start(&disk, &calls).await;
        // Nobody starts her: she has something to see to.
        let ann = assistants.get("ann").expect("she came back");
        assert_eq!(soon(ann.ask(Look)).await.unwrap().history().turns().len(), 6);
        let bob = assistants.start("bob", desk()).await.unwrap();
        assert_eq!(text_of(&soon(bob.ask(Say("me again".into()))).await.unwrap()), "2");
    });
}
