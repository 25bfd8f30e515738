//! Runs a program as a container would that forbids io_uring:
//! `test-without-io-uring PROGRAM ARGS…`. Its system calls fail with EPERM.
#![expect(
    unsafe_code,
    reason = "a seccomp filter is handed to the kernel by address"
)]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Classic BPF: load a word, jump if equal, return.
const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn step(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

fn main() {
    let mut args = std::env::args_os().skip(1);
    let program = args
        .next()
        .expect("usage: test-without-io-uring PROGRAM ARGS…");
    let setup = u32::try_from(libc::SYS_io_uring_setup).expect("a small number");
    let forbidden = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let mut filter = [
        // The number of the system call is the first word of what the filter sees.
        step(LOAD, 0, 0, 0),
        step(JUMP_IF_EQUAL, 0, 1, setup),
        step(RETURN, 0, 0, forbidden),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let len = u16::try_from(filter.len()).expect("four steps");
    let program_of_filter = libc::sock_fprog {
        len,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: both calls only read their arguments, which live until they return.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program_of_filter,
            ) == 0
    };
    assert!(installed, "seccomp: {}", std::io::Error::last_os_error());
    let error = Command::new(&program).args(args).exec();
    panic!("{}: {error}", program.display());
}
