//! Level-triggered epoll with nanosecond timeouts (Linux 5.11 or newer).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// What a descriptor is watched for. Reading is always watched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Read,
    ReadWrite,
}

impl Interest {
    fn bits(self) -> u32 {
        let bits = match self {
            Self::Read => libc::EPOLLIN,
            Self::ReadWrite => libc::EPOLLIN | libc::EPOLLOUT,
        };
        bits as u32
    }
}

/// One readiness report.
#[derive(Clone, Copy)]
pub struct Ready {
    pub token: u64,
    pub writable: bool,
    /// Readable, hung up or broken: in each case a read tells which.
    pub readable: bool,
}

pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// `capacity` is the largest number of reports of one [`Epoll::wait`].
    pub fn new(capacity: usize) -> io::Result<Self> {
        // SAFETY: no pointer is passed; the result is checked before it is owned.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just made and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity] })
    }

    pub fn add(&self, io: &impl AsRawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, io, token, interest)
    }

    pub fn modify(&self, io: &impl AsRawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, io, token, interest)
    }

    fn control(&self, operation: i32, io: &impl AsRawFd, token: u64, interest: Interest) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.bits(), u64: token };
        // SAFETY: `event` lives through the call, which keeps no pointer to it.
        let result = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, io.as_raw_fd(), &raw mut event) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits for readiness; `None` waits for ever. An interrupted wait reports nothing.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<impl ExactSizeIterator<Item = Ready> + '_> {
        let limit =
            timeout.map(|t| libc::timespec { tv_sec: t.as_secs().cast_signed(), tv_nsec: i64::from(t.subsec_nanos()) });
        let limit_pointer = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the buffer holds `len` events, `limit` outlives the call, and a null signal mask needs no size.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len(),
                limit_pointer,
                ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        let count = match usize::try_from(count) {
            Ok(count) => count,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => 0,
                error => return Err(error),
            },
        };
        Ok(self.events[..count].iter().map(|event| {
            let bits = event.events;
            Ready {
                token: event.u64,
                writable: bits & libc::EPOLLOUT as u32 != 0,
                readable: bits & (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLRDHUP) as u32 != 0,
            }
        }))
    }
}

/// Lets timers of this thread fire on time instead of up to 50 microseconds late.
pub fn precise_timers() {
    // SAFETY: sets one number of the calling thread; a refusal only leaves the default.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize, 0usize, 0usize, 0usize) };
}
