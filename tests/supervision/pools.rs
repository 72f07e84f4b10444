//! Who of a pool gets a message, and who is passed over.

use greenroom::{AdminError, AskError, FailureClass, LifeState, Restart, RouteError, Routing, TellError};

use crate::crew::{Do, Fail, Job, Member, Opening, ask, ask_pool, beside, busy, fell, pool, supervise};
use crate::support::{Stage, millis, secs};

const ALL: [Routing; 4] =
    [Routing::RoundRobin, Routing::LeastLoaded, Routing::FirstAvailable, Routing::ByKey];

/// Who answers so many asks, one after the other.
async fn answers<const N: usize>(pool: &greenroom::PoolRef<Member>) -> [String; N] {
    let mut by = [const { String::new() }; N];
    for name in &mut by {
        *name = pool.ask(Job(0)).await.expect("somebody can take it");
    }
    by
}

// ---- each routing ----

#[tokio::test(start_paused = true)]
async fn in_turns_each_member_gets_a_message() {
    for routing in [Routing::RoundRobin, Routing::ByKey] {
        let (stage, _, pool) = pool(3, |pool| pool.routing(routing)).await;

        assert_eq!(answers(&pool).await, ["1", "2", "3", "1", "2"], "{routing:?}");
        pool.tell(Job(7)).await.unwrap();
        stage.quiet().await;
        assert_eq!(stage.log.take().last().unwrap(), "7 at 3");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_turns_are_shared_by_all_references() {
    let (stage, _, first) = pool(3, |pool| pool).await;
    let second = first.supervisor().as_pool::<Member>().await.unwrap();

    let mut by = Vec::new();
    for pool in [&first, &second, &first.clone(), &second, &second, &first] {
        by.push(pool.ask(Job(0)).await.unwrap());
    }

    assert_eq!(by, ["1", "2", "3", "1", "2", "3"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_least_loaded_member_gets_the_message() {
    let (stage, _, pool) = pool(3, |pool| pool.routing(Routing::LeastLoaded)).await;
    let [one, two, three] = pool.members() else { panic!("three members") };
    // 1: one in hand and two waiting; 2: one in hand; 3: one in hand and one waiting.
    for member in [one, two, three] {
        busy(&stage, member).await;
    }
    for member in [one, one, three] {
        member.tell(Job(0)).await.unwrap();
    }

    assert_eq!(pool.pick().unwrap().path().name(), "2");
    pool.tell(Job(1)).await.unwrap();
    pool.tell(Job(2)).await.unwrap();
    pool.tell(Job(3)).await.unwrap();

    let waiting: Vec<usize> = pool.members().iter().map(|member| member.observe().waiting).collect();
    // Of 2 and 3 with one each, then of all three with two each, it is whose turn it is.
    assert_eq!(waiting.iter().sum::<usize>(), 6);
    assert_eq!(waiting, [2, 2, 2]);
    stage.end_with_some_busy().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_that_has_nothing_to_do_gets_the_message_and_the_last_are_kept_free() {
    let (stage, _, pool) = pool(3, |pool| pool.routing(Routing::FirstAvailable)).await;

    assert_eq!(answers(&pool).await, ["1", "1", "1"]);
    let bell = busy(&stage, &pool.members()[0]).await;
    assert_eq!(answers(&pool).await, ["2", "2"]);
    busy(&stage, &pool.members()[1]).await;
    busy(&stage, &pool.members()[2]).await;
    let waiting = ask_pool(&pool, 1).await;
    bell.notify_one();

    assert_eq!(waiting.await.unwrap().unwrap(), "1", "when all have something to do, it is the first");
    stage.end_with_some_busy().await;
}

#[tokio::test(start_paused = true)]
async fn one_key_stays_with_one_member_also_across_restarts() {
    let (stage, _, pool) = pool(5, |pool| pool.routing(Routing::ByKey)).await;
    let keys: Vec<String> = (0..50).map(|key| format!("customer-{key}")).collect();
    let before: Vec<_> = keys.iter().map(|key| pool.by_key(key).clone()).collect();

    for member in pool.members() {
        fell(&stage, member).await;
    }
    let later = pool.supervisor().as_pool::<Member>().await.unwrap();

    for (key, member) in keys.iter().zip(&before) {
        assert_eq!(pool.by_key(key), member);
        assert_eq!(later.by_key(key), member);
        assert_eq!(later.by_key(key).ask(Job(0)).await.unwrap(), member.path().name());
    }
    for member in pool.members() {
        assert!(before.contains(member), "of 50 keys none belongs to {member:?}");
    }
    stage.end().await;
}

/// The story: keys belonged to positions. When the first of several members was deleted, all others moved up by one,
/// and took the keys of their neighbours, whose earlier messages were still waiting elsewhere.
#[tokio::test(start_paused = true)]
async fn when_a_member_is_deleted_only_its_own_keys_move() {
    let (stage, _, pool) = pool(4, |pool| pool.routing(Routing::ByKey)).await;
    let keys: Vec<String> = (0..50).map(|key| format!("customer-{key}")).collect();
    let before: Vec<_> = keys.iter().map(|key| pool.by_key(key).clone()).collect();
    pool.supervisor().terminate_child("1").await.unwrap();
    pool.supervisor().delete_child("1").await.unwrap();

    let later = pool.supervisor().as_pool::<Member>().await.unwrap();

    assert_eq!(later.members().len(), 3);
    for (key, member) in keys.iter().zip(&before) {
        if member.path().name() != "1" {
            assert_eq!(later.by_key(key), member, "{key} has moved");
        }
    }
    stage.end().await;
}

// ---- who is passed over ----

#[tokio::test(start_paused = true)]
async fn a_member_that_is_being_restarted_is_passed_over_and_gets_messages_again_afterwards() {
    for routing in ALL {
        let (stage, crew, pool) = pool(3, |pool| pool.routing(routing)).await;
        crew.opens("1", Opening::Takes(millis(120)));
        fell(&stage, &pool.members()[0]).await;

        let by: [String; 6] = answers(&pool).await;
        assert!(!by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        stage.log.until("start at 1").await;

        let by: [String; 3] = answers(&pool).await;
        assert!(by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_in_its_start_is_down() {
    for routing in ALL {
        let (stage, crew, pool) = pool(3, |pool| pool.routing(routing)).await;
        crew.opens("2", Opening::Hangs);
        fell(&stage, &pool.members()[1]).await;
        assert_eq!(pool.members()[1].observe().state, LifeState::Starting);

        for _ in 0..3 {
            let by: [String; 3] = answers(&pool).await;
            assert!(!by.contains(&"2".to_owned()), "{routing:?}: {by:?}");
            stage.runtime.clock().sleep(secs(3)).await;
        }
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_stopped_is_passed_over() {
    for routing in ALL {
        let (stage, _, pool) = pool(3, |pool| pool.routing(routing)).await;
        pool.supervisor().terminate_child("1").await.unwrap();

        let by: [String; 4] = answers(&pool).await;
        assert!(!by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        pool.supervisor().restart_child("1").await.unwrap();

        let by: [String; 3] = answers(&pool).await;
        assert!(by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_drains_is_passed_over() {
    for routing in ALL {
        let (stage, _, pool) = pool(3, |pool| pool.routing(routing).restart(Restart::Transient)).await;
        let bell = busy(&stage, &pool.members()[0]).await;
        let before = ask(&pool.members()[0], 5).await;
        pool.members()[0].drain();

        let by: [String; 4] = answers(&pool).await;
        assert!(!by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        bell.notify_one();

        assert_eq!(before.await.unwrap().unwrap(), "1", "what it has accepted it still handles");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_above_its_watermark_is_passed_over() {
    for routing in ALL {
        let (stage, _, pool) =
            pool(3, |pool| pool.routing(routing).watermark(0.5).each(|spec| spec.capacity(4))).await;
        let bell = busy(&stage, &pool.members()[0]).await;
        pool.members()[0].tell(Job(1)).await.unwrap();
        pool.members()[0].tell(Job(2)).await.unwrap();

        let by: [String; 4] = answers(&pool).await;
        assert!(!by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        bell.notify_one();
        stage.log.until("2 at 1").await;

        let by: [String; 3] = answers(&pool).await;
        assert!(by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        stage.end().await;
    }
}

/// Goal: nobody is lost in the crowd: an ask hears at once that all have enough; a tell takes the room there is, and
/// waits for it when there is none.
/// The story: a tell that found all members above their watermark went to member 1 alone, whose mailbox filled while
/// the others had room; and had member 1 been stopped, the tell failed.
#[tokio::test(start_paused = true)]
async fn when_all_have_enough_an_ask_is_told_so_and_a_tell_takes_the_room_there_is() {
    let (stage, _, pool) = pool(3, |pool| pool.watermark(0.5).each(|spec| spec.capacity(2))).await;
    pool.supervisor().terminate_child("1").await.unwrap();
    let bells = [busy(&stage, &pool.members()[1]).await, busy(&stage, &pool.members()[2]).await];
    for member in &pool.members()[1..] {
        member.tell(Job(0)).await.unwrap();
    }
    let begun = stage.runtime.clock().now();

    let refused = pool.ask(Job(1)).await.unwrap_err();
    assert!(pool.pick().is_none() && !pool.is_ready());
    pool.tell(Job(2)).await.unwrap();
    pool.tell(Job(3)).await.unwrap();
    assert_eq!(stage.runtime.clock().now(), begun, "nobody has waited");
    let in_line = {
        let pool = pool.clone();
        beside(async move { pool.tell(Job(4)).await }).await
    };
    assert!(!in_line.is_finished());
    bells.iter().for_each(|bell| bell.notify_one());
    in_line.await.unwrap().unwrap();
    stage.quiet().await;

    assert!(matches!(&refused, RouteError::NobodyAvailable { message: Job(1), .. }), "{refused:?}");
    let mut lines = stage.log.take();
    lines.retain(|line| line.starts_with(['2', '3', '4']));
    assert_eq!(lines.len(), 3, "{lines:?}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_all_are_being_restarted_the_message_waits_for_the_first_that_is_back() {
    let (stage, crew, pool) = pool(2, |pool| pool).await;
    for name in ["1", "2"] {
        crew.opens(name, Opening::Takes(millis(70)));
    }
    for member in pool.members() {
        member.kill();
    }
    stage.quiet().await;
    assert!(!pool.is_ready());

    let begun = stage.runtime.clock().now();
    let by = pool.ask(Job(1)).await.unwrap();

    assert!(["1", "2"].contains(&&*by));
    assert!(begun.elapsed() <= millis(140));
    stage.end().await;
}

// ---- when nobody is there ----

#[tokio::test(start_paused = true)]
async fn a_pool_whose_members_are_stopped_gives_the_message_back() {
    let (stage, _, pool) = pool(2, |pool| pool).await;
    for name in ["1", "2"] {
        pool.supervisor().terminate_child(name).await.unwrap();
    }
    let begun = stage.runtime.clock().now();

    let asked = pool.ask(Job(1)).await.unwrap_err();
    let told = pool.tell(Job(2)).await.unwrap_err();

    assert_eq!(asked.to_string(), "nobody of pool can take the message");
    assert_eq!(asked.into_message(), Some(Job(1)));
    assert!(matches!(told, TellError::Stopped { message: Job(2), .. }), "{told:?}");
    assert!(pool.pick().is_none() && !pool.is_ready());
    assert_eq!(stage.runtime.clock().now(), begun, "nobody has waited");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_gone_gives_the_message_back() {
    let (stage, _, pool) = pool(2, |pool| pool).await;
    pool.supervisor().stop(secs(5)).await;
    pool.supervisor().closed().await;

    let asked = pool.ask(Job(1)).await.unwrap_err();
    let told = pool.tell(Job(2)).await.unwrap_err();

    assert!(matches!(&asked, RouteError::NobodyAvailable { message: Job(1), .. }), "{asked:?}");
    assert!(matches!(told, TellError::Gone { message: Job(2), .. }), "{told:?}");
    stage.end().await;
}

/// The story: such a reference panicked when it was told something.
#[tokio::test(start_paused = true)]
async fn there_is_no_reference_to_a_pool_without_members() {
    let (stage, _, pool) = pool(1, |pool| pool).await;
    pool.supervisor().terminate_child("1").await.unwrap();
    pool.supervisor().delete_child("1").await.unwrap();

    let empty = pool.supervisor().as_pool::<Member>().await;

    assert!(matches!(empty, Err(AdminError::NotFound { .. })), "{empty:?}");
    assert_eq!(pool.ask(Job(1)).await.unwrap_err().into_message(), Some(Job(1)));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_a_pool_of_such_actors_is_one() {
    let (stage, _, pool) = pool(1, |pool| pool).await;
    let plain = stage.supervise(crate::support::sup([stage.part("a").spec()])).await;

    let other = pool.supervisor().as_pool::<crate::support::Child>().await;
    let not_one = plain.as_pool::<crate::support::Child>().await;
    let nobody = plain.pool::<Member>("missing").await;

    assert!(matches!(other, Err(AdminError::OtherKind)), "{other:?}");
    assert!(matches!(not_one, Err(AdminError::OtherKind)), "{not_one:?}");
    assert!(matches!(nobody, Err(AdminError::NotFound { .. })), "{nobody:?}");
    stage.end().await;
}

// ---- what is asked once ----

/// Goal: once a member has accepted a message, its answer is the answer, whatever it is.
#[tokio::test(start_paused = true)]
async fn an_error_of_a_member_is_not_answered_by_asking_a_colleague() {
    let (stage, _, pool) = pool(3, |pool| pool).await;

    let refused = pool.ask(Fail(FailureClass::Invalid)).await.unwrap_err();
    let failed = pool.ask(Fail(FailureClass::External)).await.unwrap_err();
    let fallen = pool.ask(Fail(FailureClass::Bug)).await.unwrap_err();
    let late = pool.ask(Do::new(std::future::pending)).within(millis(50)).await.unwrap_err();
    stage.quiet().await;

    assert!(matches!(refused, RouteError::Asked(AskError::Refused { .. })), "{refused:?}");
    assert!(matches!(failed, RouteError::Asked(AskError::Failed { .. })), "{failed:?}");
    assert!(matches!(fallen, RouteError::Asked(AskError::ActorFailed { .. })), "{fallen:?}");
    assert!(matches!(late, RouteError::Asked(AskError::DeadlinePassed { .. })), "{late:?}");
    assert_eq!(stage.log.take(), ["fail at 1", "fail at 2", "fail at 3", "start at 3", "work at 1"]);
    stage.end_with_some_busy().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_killed_over_a_message_answers_for_it_alone() {
    let (stage, _, pool) = pool(2, |pool| pool).await;
    let asked = {
        let pool = pool.clone();
        beside(async move { pool.ask(Do::new(std::future::pending)).await }).await
    };
    stage.log.until("work at 1").await;

    pool.members()[0].kill();

    let cut = asked.await.unwrap().unwrap_err();
    assert!(matches!(cut, RouteError::Asked(AskError::Stopped { .. })), "{cut:?}");
    stage.quiet().await;
    assert_eq!(stage.log.take(), ["work at 1", "start at 1"]);
    stage.end().await;
}

/// Goal: two members that would wait for one another through their own pool are told so.
#[tokio::test(start_paused = true)]
async fn a_ring_of_waits_through_the_pool_is_refused() {
    let (stage, _, pool) = pool(2, |pool| pool).await;
    let begun = stage.runtime.clock().now();

    let asks_back = {
        let pool = pool.clone();
        move || async move {
            match pool.ask(Job(1)).await {
                Err(RouteError::Asked(AskError::WaitsInRing { ring, message: Job(1) })) => {
                    Ok(ring.iter().map(|path| path.name()).collect::<Vec<_>>().join(" "))
                }
                other => panic!("{other:?}"),
            }
        }
    };
    let asks = {
        let pool = pool.clone();
        move || async move { Ok(pool.ask(Do::new(asks_back)).await?) }
    };
    let ring = pool.ask(Do::new(asks)).await.unwrap();

    assert_eq!(ring, "2 1 2");
    assert_eq!(stage.runtime.clock().now(), begun);
    stage.end().await;
}

// ---- broadcast ----

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_every_member_once_also_those_that_are_down() {
    let stage = Stage::new().await;
    let crew = crate::crew::Crew::new(&stage);
    let pool = supervise(&stage, crew.pool(4).reroute_after(Some(millis(20)))).await;
    pool.supervisor().terminate_child("3").await.unwrap();
    crew.opens("2", Opening::Takes(millis(120)));
    fell(&stage, &pool.members()[1]).await;

    let told = pool.broadcast(&Job(9));
    stage.runtime.clock().sleep(millis(200)).await;

    assert_eq!(told.len(), 4);
    assert!(matches!(told[2], Err(TellError::Stopped { message: Job(9), .. })), "{told:?}");
    assert!([0, 1, 3].iter().all(|at| told[*at].is_ok()), "{told:?}");
    assert_eq!(stage.log.take(), ["9 at 1", "9 at 4", "start at 2", "9 at 2"]);
    stage.end().await;
}
