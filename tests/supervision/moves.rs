//! What waits at a member of a pool that is down for too long moves to the others: when that is.

use greenroom::{ChildSpec, LifeState, Pool, RuntimeEvent, Shutdown, SuperviseExt, Supervisor};

use crate::crew::{
    AFTER, Crew, Job, Member, Opening, ask, ask_pool, busy, fell, jobs, moving, pool, routed, sleep, waiting,
};
use crate::support::{Block, Child, Note, OFTEN, Stage, millis, secs};

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_member_that_is_down_moves_with_its_askers_who_are_answered_by_colleagues() {
    let (stage, crew, pool) = pool(3, moving).await;
    let members = routed(&pool);
    let [one, ..] = &*members else { panic!("three members") };
    let mut events = stage.runtime.events();
    busy(&stage, one).await;
    let mut askers = Vec::new();
    for number in 0..4 {
        askers.push(ask(one, number).await);
    }
    one.try_tell(Job(4)).unwrap();
    crew.opens("1", Opening::Hangs);
    stage.log.take();

    fell(&stage, one).await;
    sleep(&stage, AFTER).await;

    let mut by = Vec::new();
    for asker in askers {
        by.push(asker.await.unwrap().unwrap());
    }
    assert_eq!(by, ["2", "3", "2", "3"], "in turns");
    let mut lines = jobs(&stage);
    lines.sort();
    assert_eq!(lines, ["0 at 2", "1 at 3", "2 at 2", "3 at 3", "4 at 2"], "each once");
    crew.opens("1", Opening::Works);
    one.kill();
    stage.log.until("start at 1").await;
    sleep(&stage, secs(1)).await;
    assert_eq!(jobs(&stage), [""; 0], "nothing is left behind");
    let rerouted = std::iter::from_fn(|| events.try_recv().ok()).filter_map(|event| match event {
        RuntimeEvent::Rerouted { path, count } => Some((path.to_string(), count)),
        _ => None,
    });
    assert_eq!(rerouted.collect::<Vec<_>>(), [("pool/1".to_owned(), 5)]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_asker_of_the_pool_is_answered_by_the_colleague_too() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    busy(&stage, &members[0]).await;
    let asker = ask_pool(&pool, 1).await;
    crew.opens("1", Opening::Hangs);
    fell(&stage, &members[0]).await;
    sleep(&stage, AFTER).await;

    assert_eq!(asker.await.unwrap().unwrap(), "2");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_before_the_time_is_up() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    let one = &members[0];
    crew.opens("1", Opening::Hangs);
    fell(&stage, one).await;
    one.try_tell(Job(1)).unwrap();

    sleep(&stage, AFTER - millis(3)).await;
    assert_eq!((waiting(&pool), jobs(&stage).len()), (vec![1, 0], 0));
    sleep(&stage, millis(3)).await;

    assert_eq!((waiting(&pool), jobs(&stage)), (vec![0, 0], vec!["1 at 2".to_owned()]));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_later_to_a_member_that_is_still_down_moves_too() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    let one = &members[0];
    crew.opens("1", Opening::Hangs);
    fell(&stage, one).await;
    sleep(&stage, 3 * AFTER).await;

    let answer = ask(one, 1).await;
    sleep(&stage, AFTER).await;

    assert_eq!(answer.await.unwrap().unwrap(), "2");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_back_in_time_keeps_what_waits() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    let one = &members[0];
    busy(&stage, one).await;
    let answers = [ask(one, 1).await, ask(one, 2).await];
    crew.opens("1", Opening::Takes(AFTER - millis(10)));
    fell(&stage, one).await;
    sleep(&stage, 3 * AFTER).await;

    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap(), "1");
    }
    assert_eq!(jobs(&stage), ["1 at 1", "2 at 1"]);
    stage.end().await;
}

/// The story: the watch that a first fall had begun was still running when the member, back meanwhile, fell again; it
/// took the second fall for the first and moved the messages 10 ms after it.
#[tokio::test(start_paused = true)]
async fn each_fall_has_its_own_time() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    let one = &members[0];
    crew.opens("1", Opening::Takes(millis(60)));
    fell(&stage, one).await;
    sleep(&stage, millis(80)).await;
    assert_eq!(stage.log.count("start at 1"), 1);
    fell(&stage, one).await;
    one.try_tell(Job(1)).unwrap();

    sleep(&stage, millis(200)).await;

    assert_eq!(jobs(&stage), ["1 at 1"], "it was down for 60 ms each time");
    stage.end().await;
}

/// A member whose starts fail is down from its fall on, not from the last of its starts.
#[tokio::test(start_paused = true)]
async fn starts_that_fail_do_not_begin_the_time_anew() {
    let backoff = greenroom::Backoff { jitter: 0.0, first: millis(30), ..greenroom::Backoff::default() };
    let (stage, crew, pool) = pool(2, |pool| moving(pool).backoff(backoff)).await;
    let members = routed(&pool);
    let one = &members[0];
    crew.opens("1", Opening::Fails);
    fell(&stage, one).await;
    one.try_tell(Job(1)).unwrap();

    sleep(&stage, AFTER + millis(1)).await;

    assert_eq!(jobs(&stage), ["1 at 2"]);
    stage.end().await;
}

/// The story: falls are told to the supervisor, which began the watch; and it heard of none while it waited for
/// another member to start, for as long as 30 s.
#[tokio::test(start_paused = true)]
async fn a_member_that_falls_while_another_hangs_in_its_start_is_watched_too() {
    let (stage, crew, pool) = pool(3, moving).await;
    let members = routed(&pool);
    let [one, two, _] = &*members else { panic!("three members") };
    crew.opens("1", Opening::Hangs);
    fell(&stage, one).await;
    sleep(&stage, secs(1)).await;
    busy(&stage, two).await;
    let answer = ask(two, 1).await;

    fell(&stage, two).await;
    sleep(&stage, AFTER).await;

    assert!(answer.is_finished(), "{:?}", waiting(&pool));
    assert_eq!(answer.await.unwrap().unwrap(), "3");
    stage.end().await;
}

/// The story: a supervisor that came back itself, with the mailboxes of its members, watched nobody before a fall.
#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_in_the_start_of_its_whole_pool_is_watched_too() {
    let stage = Stage::new().await;
    let crew = Crew::new(&stage);
    let top = Supervisor::named("top").intensity(OFTEN.0, OFTEN.1);
    let top = top.child(ChildSpec::pool(crew.pool(2).reroute_after(Some(AFTER))));
    let top = stage.supervise(top).await;
    let pool = top.pool::<Member>("pool").await.unwrap();
    let members = routed(&pool);
    let [one, two] = &*members else { panic!("two members") };
    busy(&stage, two).await;
    let answer = ask(two, 1).await;
    crew.opens("2", Opening::Hangs);
    stage.log.take();

    pool.supervisor().place().kill();
    stage.log.until("start at 1").await;
    sleep(&stage, 2 * AFTER).await;

    assert_eq!(one.observe().restarts, 1);
    assert!(answer.is_finished(), "{:?}", waiting(&pool));
    assert_eq!(answer.await.unwrap().unwrap(), "1");
    two.kill();
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn while_all_are_down_everything_waits_and_moves_to_the_first_that_is_back() {
    let (stage, crew, pool) = pool(3, moving).await;
    let members = routed(&pool);
    for (at, name) in ["1", "2", "3"].into_iter().enumerate() {
        busy(&stage, &members[at]).await;
        crew.opens(name, if at == 1 { Opening::Takes(millis(450)) } else { Opening::Hangs });
    }
    let mut askers = Vec::new();
    for number in 0..6 {
        askers.push(ask(&members[number as usize % 3], number).await);
    }
    // The supervisor starts one after the other: first the one that comes back.
    fell(&stage, &members[1]).await;
    for member in [&members[0], &members[2]] {
        fell(&stage, member).await;
    }

    sleep(&stage, millis(440)).await;
    assert_eq!(waiting(&pool), [2, 2, 2]);
    sleep(&stage, millis(110)).await;

    for asker in askers {
        assert!(asker.is_finished());
        assert_eq!(asker.await.unwrap().unwrap(), "2");
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_pool_moves_messages_as_its_new_spec_says() {
    let (stage, crew, pool) = pool(2, |pool| pool.reroute_after(None)).await;
    let members = routed(&pool);
    let one = &members[0];
    crew.opens("1", Opening::Hangs);
    fell(&stage, one).await;
    one.try_tell(Job(1)).unwrap();
    sleep(&stage, millis(500)).await;
    assert_eq!(waiting(&pool), [1, 0], "it waits for its member");
    crew.opens("1", Opening::Takes(millis(300)));
    one.kill();
    stage.log.until("start at 1").await;

    pool.supervisor().change(crew.pool(2).reroute_after(Some(AFTER))).await.unwrap();
    fell(&stage, one).await;
    one.try_tell(Job(2)).unwrap();
    sleep(&stage, AFTER).await;

    assert_eq!(jobs(&stage), ["1 at 1", "2 at 2"]);
    stage.end().await;
}

/// Goal: a member is down from the kill on, also when it does not hear it.
/// Method: in real time, since a blocked thread stops a paused clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waits_at_a_killed_member_that_blocks_its_thread_moves() {
    let stage = Stage::impatient().await;
    let part = stage.part("member");
    let pool = Pool::<Child>::new("pool", 2, part).intensity(OFTEN.0, OFTEN.1).reroute_after(Some(millis(5)));
    let pool = pool.shutdown(Shutdown::Within(millis(20)));
    let pool = stage.runtime.supervise(pool).await.unwrap().as_pool::<Child>().await.unwrap();
    let members = routed(&pool);
    let (release, released) = std::sync::mpsc::channel();
    let [one, two] = &*members else { panic!("two members") };
    one.tell(Block(released)).await.unwrap();
    stage.log.until("block member").await;
    one.tell(Note(1)).await.unwrap();

    one.kill();
    stage.log.until("1 member").await;

    assert_eq!(stage.log.count("unblock member"), 0);
    assert_eq!((one.observe().state, two.observe().state), (LifeState::Stopping, LifeState::Running));
    drop(release);
    stage.log.until("unblock member").await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_member_that_takes_long_to_stop_moves() {
    let (stage, _, pool) = pool(2, |pool| moving(pool).shutdown(Shutdown::Within(secs(1)))).await;
    let members = routed(&pool);
    let one = &members[0];
    busy(&stage, one).await;
    let asker = ask(one, 1).await;

    pool.supervisor().terminate_child("1").await.unwrap();

    assert_eq!(asker.await.unwrap().unwrap(), "2");
    stage.end().await;
}
