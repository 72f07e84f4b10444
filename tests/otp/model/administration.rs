//! What a supervisor answers when asked to start, terminate, restart or delete a child.

use super::supervisor::{Birth, Child, Life, Supervisor};
use super::vocabulary::{AdminAnswer, ChildSpec, ChildState, Restart};
use super::world::World;

impl Supervisor {
    /// `start_child/2`. A failed start leaves no entry, a declined one only if the child is not temporary.
    pub(super) fn start_child(&mut self, asked: ChildSpec, world: &mut World) -> AdminAnswer {
        let spec = match &self.spec.template {
            Some(template) => ChildSpec { name: asked.name, ..template.as_ref().clone() },
            None => asked,
        };
        if !spec.fits(self.spec.auto_shutdown) {
            return AdminAnswer::BadCombination;
        }
        match self.state_of(&spec.name) {
            Some(ChildState::Running) => return AdminAnswer::AlreadyStarted,
            Some(ChildState::Restarting | ChildState::Stopped) => return AdminAnswer::AlreadyPresent,
            None => {}
        }
        match self.give_birth(&spec, world) {
            Birth::Alive(life) => {
                if self.is_template() {
                    world.remember_instance(&self.path_of(&spec.name));
                }
                self.children.push(Child { spec, life });
                AdminAnswer::Started
            }
            Birth::Declined => {
                if spec.restart != Restart::Temporary && !self.is_template() {
                    self.children.push(Child { spec, life: Life::Stopped });
                }
                AdminAnswer::Declined
            }
            Birth::Failed => AdminAnswer::StartFailed,
        }
    }

    /// `terminate_child/2`. It also ends a restart that is still being tried, and it never shuts the supervisor down.
    pub(super) fn terminate_child(&mut self, name: &str, world: &mut World) -> AdminAnswer {
        match self.position(name) {
            Some(index) => {
                self.stop_child(index, world);
                self.mark_stopped(index);
                if self.is_template() {
                    world.forget_retries(&self.path, name);
                }
                AdminAnswer::Ok
            }
            // Under a template OTP is asked by pid, and a pid that is dead is as good as terminated.
            None if self.is_template() && world.was_instance(&self.path_of(name)) => AdminAnswer::Ok,
            None => AdminAnswer::NotFound,
        }
    }

    /// `restart_child/2`. By hand, so it counts for no intensity, and a failure is the caller's to retry.
    pub(super) fn restart_child(&mut self, name: &str, world: &mut World) -> AdminAnswer {
        let index = match self.stopped_child(name) {
            Ok(index) => index,
            Err(refusal) => return refusal,
        };
        let spec = self.children[index].spec.clone();
        match self.give_birth(&spec, world) {
            Birth::Alive(life) => {
                self.children[index].life = life;
                AdminAnswer::Started
            }
            Birth::Declined => AdminAnswer::Declined,
            Birth::Failed => AdminAnswer::StartFailed,
        }
    }

    /// `delete_child/2`.
    pub(super) fn delete_child(&mut self, name: &str) -> AdminAnswer {
        match self.stopped_child(name) {
            Ok(index) => {
                self.children.remove(index);
                AdminAnswer::Ok
            }
            Err(refusal) => refusal,
        }
    }

    /// The entry that `restart_child` and `delete_child` may touch, or why there is none.
    fn stopped_child(&self, name: &str) -> Result<usize, AdminAnswer> {
        if self.is_template() {
            return Err(AdminAnswer::NotForTemplate);
        }
        let index = self.position(name).ok_or(AdminAnswer::NotFound)?;
        match self.children[index].state() {
            ChildState::Running => Err(AdminAnswer::Running),
            ChildState::Restarting => Err(AdminAnswer::Restarting),
            ChildState::Stopped => Ok(index),
        }
    }

    fn state_of(&self, name: &str) -> Option<ChildState> {
        self.position(name).map(|index| self.children[index].state())
    }
}
