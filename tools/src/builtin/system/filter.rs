//! System calls that a sandboxed program is refused.
//!
//! A list of what is refused, as codex has it: a list of what is allowed would have to know each libc. What is refused is
//! what Landlock does not see (sockets, other processes, shared memory), what leads out of the sandbox (namespaces, mounts,
//! tracing), and what is known for bugs of the kernel and of no use here.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

/// Refused whatever the arguments.
const REFUSED: &[libc::c_long] = &[
    // The network, and sockets of this machine. `socketpair` stays: it reaches nobody.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Shared memory and queues by number or name, which are no files.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    // Keys of the user.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Files without a path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // Wide parts of the kernel.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];

const NAMESPACES: [libc::c_int; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    // Its process would be a child of the guardian.
    libc::CLONE_PARENT,
];

/// Whether a program may start another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forks {
    Allowed,
    Refused,
}

/// The programs of the filter, in the order of their installation.
pub(super) fn programs(forks: Forks) -> Result<Vec<BpfProgram>, String> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    // A flag of the first argument that is set, or `CLONE_THREAD` that is not.
    let flag = |flag: libc::c_int, wanted: u64| {
        let op = SeccompCmpOp::MaskedEq(u64::from(flag.cast_unsigned()));
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, op, wanted)?;
        SeccompRule::new(vec![condition])
    };
    let mut clones = NAMESPACES
        .map(|namespace| flag(namespace, u64::from(namespace.cast_unsigned())))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if forks == Forks::Refused {
        clones.push(flag(libc::CLONE_THREAD, 0).map_err(|error| error.to_string())?);
        #[cfg(target_arch = "x86_64")]
        refused.extend([(libc::SYS_fork, Vec::new()), (libc::SYS_vfork, Vec::new())]);
    }
    refused.insert(libc::SYS_clone, clones);
    #[cfg(target_arch = "x86_64")]
    refused.extend([libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt].map(|call| (call, Vec::new())));
    // A filter cannot look behind the pointer of `clone3`; libc goes back to `clone` when it is told that there is none.
    let absent = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let (eperm, enosys) = (libc::EPERM.cast_unsigned(), libc::ENOSYS.cast_unsigned());
    let mut first = compile(refused, eperm)?;
    if cfg!(target_arch = "x86_64") {
        first.splice(0..0, without_x32(enosys));
    }
    Ok(vec![compile(absent, enosys)?, first])
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: u32) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch);
    let compiled = filter.and_then(TryInto::try_into);
    compiled.map_err(|error: seccompiler::BackendError| error.to_string())
}

/// Refuses the calls of the x32 kind: the same calls under other numbers, which no list above would name.
fn without_x32(errno: u32) -> [sock_filter; 3] {
    const X32: u32 = 0x4000_0000;
    const LOAD_NUMBER: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    [
        LOAD_NUMBER,
        sock_filter { code: 0x35, jt: 0, jf: 1, k: X32 },
        sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | errno },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_either_way() {
        for forks in [Forks::Allowed, Forks::Refused] {
            let programs = programs(forks).unwrap();
            assert_eq!(programs.len(), 2);
            assert!(programs.iter().all(|program| program.len() < 4_096));
        }
    }
}
