//! What a running supervisor can be asked: OTP's `start_child`, `terminate_child`, `which_children` and the rest.

use std::any::Any;

use greenroom_runtime::overseer::{Flow, OverseerContext, OverseerRef};
use greenroom_runtime::{ActorPath, Epoch, ExitReason, Failure, LifeState, Place, SpawnError, StoreError};
use tokio::sync::oneshot;

use crate::child::Child;
use crate::child_spec::{ChildKind, ChildSettings, ChildSpec};
use crate::children::Key;
use crate::policy::{ChildState, Restart};
use crate::pool::PoolSpec;
use crate::supervisor::{Began, Supervising};
use crate::supervisor_spec::{SpecComplaint, Supervisor};

/// Why a supervisor did not do what it was asked. Nothing changed, unless the variant says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The supervisor is not running: it gave up, was stopped, or is being restarted. OTP's `noproc`.
    #[error("the supervisor {0} is not running")]
    Unavailable(ActorPath),
    /// It has no child of that name.
    #[error("there is no child `{name}`")]
    NotFound {
        /// The name.
        name: String,
    },
    /// A child of that name runs.
    #[error("{path} is started already")]
    AlreadyStarted {
        /// Where it runs.
        path: ActorPath,
    },
    /// There is a child of that name that does not run. Restart it, or delete it first.
    #[error("`{name}` is present already")]
    AlreadyPresent {
        /// The name.
        name: String,
    },
    /// The child runs. Terminate it first.
    #[error("`{name}` is running")]
    Running {
        /// The name.
        name: String,
    },
    /// The child waits for its next try. Terminate it first.
    #[error("`{name}` is being restarted")]
    Restarting {
        /// The name.
        name: String,
    },
    /// The child did not start. A new child is forgotten; one that was there before stays, stopped.
    #[error("{path} did not start")]
    StartFailed {
        /// Where it would have lived.
        path: ActorPath,
        /// How its start ended.
        #[source]
        reason: ExitReason,
    },
    /// The child declined to start, and nothing is kept of it: it is temporary, or one of many alike.
    #[error("nothing is kept of {path}")]
    Declined {
        /// Where it would have lived.
        path: ActorPath,
        /// What its start said.
        #[source]
        reason: ExitReason,
    },
    /// Somebody who is not a child of this supervisor lives there.
    #[error("{path} is taken by somebody else")]
    Taken {
        /// Where.
        path: ActorPath,
    },
    /// The place for the child could not be made.
    #[error(transparent)]
    Place(#[from] SpawnError),
    /// The spec is wrong. All complaints are here.
    #[error("the spec was refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Spec(Vec<SpecComplaint>),
    /// The arguments of a durable child have no encoded form.
    #[error("the arguments cannot be written down")]
    Unwritable {
        /// What serde says.
        #[source]
        failure: Failure,
    },
    /// How a durable child is made could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are as many children as there may be.
    #[error("there are {max} children already")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The supervisor is of the other kind: one of many alike has no spec of its own to restart or delete, and one of
    /// single children has no template.
    #[error("not for this kind of supervisor")]
    OtherKind,
}

/// One child as its supervisor shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: ActorPath,
    /// Whether it works or supervises.
    pub kind: ChildKind,
    /// Whether it runs, waits to be started again, or is stopped.
    pub state: ChildState,
    /// Where its cell is in its life.
    pub life: LifeState,
    /// Which life.
    pub epoch: Epoch,
    /// Lives after the first.
    pub restarts: u64,
}

/// How many children there are: OTP's `count_children`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildCounts {
    /// Specs, whether something runs or not; 1 when all children are made from one template.
    pub specs: usize,
    /// Children that run.
    pub active: usize,
    /// Children that are supervisors, whether they run or not.
    pub supervisors: usize,
    /// Children that are not, whether they run or not.
    pub workers: usize,
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, AdminError>>;

/// A request, with the way back. Whoever asked may have gone; then the answer is dropped.
pub(crate) enum Request {
    Start(Box<ChildSpec>, Answer<ChildInfo>),
    StartInstance { name: Option<String>, args: Box<dyn Any + Send>, answer: Answer<ChildInfo> },
    Terminate(String, Answer<()>),
    Restart(String, Answer<ChildInfo>),
    Delete(String, Answer<()>),
    List(Answer<Vec<ChildInfo>>),
    Show(String, Answer<ChildInfo>),
    Settings(String, Answer<ChildSettings>),
    Count(Answer<ChildCounts>),
    Change(Box<Supervisor>, Answer<()>),
    Pool(Answer<PoolSpec>),
}

impl ChildInfo {
    fn of(child: &Child) -> Self {
        let seen = child.place.observe();
        ChildInfo {
            name: child.name().to_owned(),
            path: seen.path,
            kind: child.settings.kind,
            state: child.state,
            life: seen.state,
            epoch: seen.epoch,
            restarts: seen.restarts,
        }
    }
}

/// The supervisor was told to stop while it did what it was asked.
struct Stopping;

/// What came of a start by request.
type Begun = Result<Result<ChildInfo, AdminError>, Stopping>;

impl Supervising {
    pub(crate) async fn on_request(&mut self, request: Request, cx: &OverseerContext) -> Flow {
        let done = match request {
            Request::Start(spec, answer) => {
                self.start_by_request(*spec, cx).await.map(|done| reply(answer, done))
            }
            Request::StartInstance { name, args, answer } => {
                self.start_instance(name, args, cx).await.map(|done| reply(answer, done))
            }
            Request::Restart(name, answer) => {
                self.restart_by_request(name, cx).await.map(|done| reply(answer, done))
            }
            request => {
                self.on_plain_request(request, cx).await;
                Ok(())
            }
        };
        match done {
            Ok(()) => Flow::Stay,
            Err(Stopping) => self.leave_stopped(cx).await,
        }
    }

    /// What starts nobody.
    async fn on_plain_request(&mut self, request: Request, cx: &OverseerContext) {
        match request {
            Request::Terminate(name, answer) => reply(answer, self.terminate(name, cx).await),
            Request::Delete(name, answer) => reply(answer, self.delete(name, cx)),
            Request::List(answer) => reply(answer, Ok(self.children.iter().map(ChildInfo::of).collect())),
            Request::Show(name, answer) => reply(answer, self.look(name).map(ChildInfo::of)),
            Request::Settings(name, answer) => reply(answer, self.look(name).map(|child| child.settings)),
            Request::Count(answer) => reply(answer, Ok(self.count())),
            Request::Pool(answer) => {
                reply(answer, self.spec.pool.clone().ok_or(AdminError::OtherKind));
            }
            Request::Change(spec, answer) => reply(answer, self.change(*spec, cx)),
            Request::Start(..) | Request::StartInstance { .. } | Request::Restart(..) => {}
        }
    }

    fn find(&self, name: String) -> Result<Key, AdminError> {
        self.children.named(&name).ok_or(AdminError::NotFound { name })
    }

    fn look(&self, name: String) -> Result<&Child, AdminError> {
        let key = self.find(name.clone())?;
        self.children.get(key).ok_or(AdminError::NotFound { name })
    }

    // ---- start ----

    async fn start_by_request(&mut self, spec: ChildSpec, cx: &OverseerContext) -> Begun {
        if self.spec.template.is_some() {
            return Ok(Err(AdminError::OtherKind));
        }
        let complaints = self.spec.complaints_about(&spec);
        if !complaints.is_empty() {
            return Ok(Err(AdminError::Spec(complaints)));
        }
        self.add_and_start(spec, cx).await
    }

    async fn start_instance(
        &mut self,
        name: Option<String>,
        args: Box<dyn Any + Send>,
        cx: &OverseerContext,
    ) -> Begun {
        let Some(template) = self.spec.template.clone() else { return Ok(Err(AdminError::OtherKind)) };
        if self.children.len() >= template.max_children {
            return Ok(Err(AdminError::TooMany { max: template.max_children }));
        }
        let name = name.unwrap_or_else(|| self.next_name());
        let birth = match &template.memory {
            Some(memory) if self.children.named(&name).is_none() => match memory.write(&*args) {
                Ok(birth) => Some(birth),
                Err(failure) => return Ok(Err(AdminError::Unwritable { failure })),
            },
            _ => None,
        };
        let Some(spec) = (template.make)(name, args) else { return Ok(Err(AdminError::OtherKind)) };
        let spec = ChildSpec { settings: template.settings, ..spec };
        let complaints = self.spec.complaints_about(&spec);
        if !complaints.is_empty() {
            return Ok(Err(AdminError::Spec(complaints)));
        }
        let path = cx.path().child(spec.name());
        if let (Some(birth), Ok(path)) = (birth, &path) {
            // Before it lives: whatever it accepts, somebody can be made to see to it.
            if let Err(error) = cx.runtime().write_birth(path, birth).await {
                return Ok(Err(AdminError::Store(error)));
            }
            let begun = self.add_and_start(spec, cx).await;
            if matches!(begun, Ok(Err(_))) && self.children.named(path.name()).is_none() {
                cx.runtime().forget_birth(path);
            }
            return begun;
        }
        self.add_and_start(spec, cx).await
    }

    async fn add_and_start(&mut self, spec: ChildSpec, cx: &OverseerContext) -> Begun {
        let name = spec.name().to_owned();
        if let Ok(child) = self.look(name.clone()) {
            return Ok(Err(match child.state {
                ChildState::Running => AdminError::AlreadyStarted { path: child.place.path().clone() },
                ChildState::Restarting | ChildState::Stopped => AdminError::AlreadyPresent { name },
            }));
        }
        let place = match spec.place.place(cx.runtime(), Some(cx.path())) {
            Ok(place) if place.state().is_occupied() => {
                return Ok(Err(AdminError::Taken { path: place.path().clone() }));
            }
            Ok(place) => place,
            Err(error) => return Ok(Err(error.into())),
        };
        spec.place.renew(&place);
        let key = self.children.add(Child::new(spec.settings, place));
        let answer = self.begin_by_request(key, cx).await;
        if let Ok(Err(AdminError::StartFailed { .. })) = answer {
            self.forget(key, cx);
        }
        answer
    }

    async fn begin_by_request(&mut self, key: Key, cx: &OverseerContext) -> Begun {
        let Some(place) = self.children.get(key).map(|child| child.place.clone()) else {
            return Ok(Err(AdminError::Unavailable(cx.path().clone()))); // cannot be: the caller has just found it
        };
        let path = place.path().clone();
        match self.start_child(key, cx).await {
            Began::Stopping => return Err(Stopping),
            Began::Failed(reason) => return Ok(Err(AdminError::StartFailed { path, reason })),
            Began::Declined(reason) if !self.settle_declined(key, cx) => {
                return Ok(Err(AdminError::Declined { path, reason }));
            }
            Began::Started | Began::Declined(_) => {}
        }
        let name = path.name().to_owned();
        Ok(self.look(name).map(ChildInfo::of))
    }

    /// A name that no child has.
    fn next_name(&mut self) -> String {
        loop {
            self.named += 1;
            let name = format!("child-{}", self.named);
            if self.children.named(&name).is_none() {
                return name;
            }
        }
    }

    async fn restart_by_request(&mut self, name: String, cx: &OverseerContext) -> Begun {
        let key = match self.own_spec(&name) {
            Ok((key, ChildState::Stopped)) => key,
            Ok((_, ChildState::Running)) => return Ok(Err(AdminError::Running { name })),
            Ok((_, ChildState::Restarting)) => return Ok(Err(AdminError::Restarting { name })),
            Err(error) => return Ok(Err(error)),
        };
        let answer = self.begin_by_request(key, cx).await;
        if let Ok(Err(AdminError::StartFailed { .. })) = answer {
            self.lay_aside(key);
        }
        answer
    }

    /// A child with a spec of its own, which it keeps when it does not run.
    fn own_spec(&self, name: &str) -> Result<(Key, ChildState), AdminError> {
        if self.spec.template.is_some() {
            return Err(AdminError::OtherKind);
        }
        let key = self.find(name.to_owned())?;
        Ok((key, self.children.get(key).map_or(ChildState::Stopped, |child| child.state)))
    }

    // ---- stop ----

    async fn terminate(&mut self, name: String, cx: &OverseerContext) -> Result<(), AdminError> {
        let key = match self.find(name) {
            // One of many alike leaves nothing when it ends, so whoever comes a moment too late has what they want.
            Err(AdminError::NotFound { name }) if self.spec.template.is_some() && is_free(&name, cx) => {
                return Ok(());
            }
            found => found?,
        };
        let mut group = None;
        let mut name = String::new();
        if let Some(child) = self.children.get_mut(key) {
            (group, name) = (child.group(), child.name().to_owned());
            child.bring_down(cx.runtime()).await;
        }
        if self.keeps_spec(key) {
            self.lay_aside(key)
        } else {
            self.forget(key, cx)
        }
        if let Some(group) = group {
            self.leave_group(&name, &group, cx);
        }
        Ok(())
    }

    fn delete(&mut self, name: String, cx: &OverseerContext) -> Result<(), AdminError> {
        match self.own_spec(&name)? {
            (key, ChildState::Stopped) => {
                self.forget(key, cx);
                Ok(())
            }
            (_, ChildState::Running) => Err(AdminError::Running { name }),
            (_, ChildState::Restarting) => Err(AdminError::Restarting { name }),
        }
    }

    // ---- look ----

    fn count(&self) -> ChildCounts {
        let supervisors =
            self.children.iter().filter(|child| child.settings.kind == ChildKind::Supervisor).count();
        ChildCounts {
            specs: if self.spec.template.is_some() { 1 } else { self.children.len() },
            active: self.children.running(),
            supervisors,
            workers: self.children.len() - supervisors,
        }
    }

    // ---- change ----

    /// OTP's code change: the flags are replaced; running children stay, under their new specs, and are started as those
    /// say from their next life on; new specs are added, not started; children that the new spec does not name are kept.
    fn change(&mut self, new: Supervisor, cx: &OverseerContext) -> Result<(), AdminError> {
        let new = Supervisor { name: self.spec.name.clone(), ..new };
        let other_kind = new.template.is_some() != self.spec.template.is_some()
            || new.pool.is_some() != self.spec.pool.is_some();
        if other_kind || new.init.is_some() {
            return Err(AdminError::OtherKind);
        }
        let complaints = new.complaints();
        if !complaints.is_empty() {
            return Err(AdminError::Spec(complaints));
        }
        let mut places = Vec::new();
        for spec in &new.children {
            let known = self.children.named(spec.name());
            match spec.place.place(cx.runtime(), Some(cx.path())) {
                Ok(place) if known.is_none() && place.state().is_occupied() => {
                    let path = place.path().clone();
                    give_back(&places);
                    return Err(AdminError::Taken { path });
                }
                Ok(place) => places.push((known, spec, place)),
                Err(error) => {
                    give_back(&places);
                    return Err(error.into());
                }
            }
        }
        // From here on nothing fails.
        for (known, spec, place) in places {
            spec.place.renew(&place);
            let settings = spec.settings;
            match known.and_then(|key| self.children.get_mut(key)) {
                Some(child) => child.settings = settings,
                None => {
                    place.shelve();
                    self.children.add(Child::new(settings, place));
                }
            }
        }
        if let Some(template) = &new.template {
            self.children.iter_mut().for_each(|child| child.settings = template.settings);
        }
        let order: Vec<String> = new.children.iter().map(|spec| spec.name().to_owned()).collect();
        if !order.is_empty() {
            self.children.arrange(&order);
        }
        self.history.limit(new.intensity);
        self.rerouting.set(new.pool.as_ref().and_then(|pool| pool.sharing.reroute_after));
        self.spec = new.clone();
        self.board.change(&self.spec);
        // A later life of this supervisor begins with what is in force now.
        if let Some(me) = cx.runtime().place(cx.path()).ok().and_then(|me| OverseerRef::<Self>::of(&me)) {
            me.build_with(move || Supervising::new(new.clone()));
        }
        Ok(())
    }
}

impl Supervising {
    /// Whether a child that does not run any more stays listed.
    pub(crate) fn keeps_spec(&self, key: Key) -> bool {
        let restart = self.children.get(key).map(|child| child.settings.restart);
        self.spec.template.is_none() && restart != Some(Restart::Temporary)
    }
}

/// Whoever was given a new place gives it back.
fn give_back(places: &[(Option<Key>, &ChildSpec, Place)]) {
    places.iter().filter(|(known, ..)| known.is_none()).for_each(|(.., place)| place.close());
}

/// Whether nobody lives under that name, neither a child nor a stranger.
fn is_free(name: &str, cx: &OverseerContext) -> bool {
    cx.path().child(name).is_ok_and(|path| cx.runtime().place(&path).is_err())
}

fn reply<T>(answer: Answer<T>, with: Result<T, AdminError>) {
    drop(answer.send(with));
}
