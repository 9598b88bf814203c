"""Names that are safe in C, in file names and in comments, made from names that users choose freely."""

from __future__ import annotations

import re
from collections.abc import Iterable


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


KEYWORDS = words("""
    asm auto bool break case char const continue default do double else enum extern false float for goto if inline int
    long main register restrict return short signed sizeof static struct switch true typedef union unsigned void
    volatile while
    alignas alignof constexpr nullptr static_assert thread_local typeof typeof_unqual
    and and_eq bitand bitor catch char16_t char32_t char8_t class co_await co_return co_yield compl concept const_cast
    consteval constinit decltype delete dynamic_cast explicit export friend mutable namespace new noexcept not not_eq
    operator or or_eq private protected public reinterpret_cast requires static_cast template this throw try typeid
    typename using virtual wchar_t xor xor_eq
    int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t
    arm errno far i386 interface linux mips near pascal small stderr stdin stdout unix
    atomic_compare_exchange_strong_explicit atomic_compare_exchange_weak_explicit atomic_exchange_explicit
    atomic_fetch_add_explicit atomic_fetch_and_explicit atomic_fetch_or_explicit atomic_fetch_sub_explicit
    atomic_fetch_xor_explicit atomic_init atomic_load_explicit atomic_store_explicit basename complex d_fileno fd_set
    h_addr h_errno hppa hpux ifa_broadaddr ifa_dstaddr ifc_buf ifc_req ifr_addr ifr_bandwidth ifr_broadaddr ifr_data
    ifr_dstaddr ifr_flags ifr_hwaddr ifr_ifindex ifr_map ifr_metric ifr_mtu ifr_name ifr_netmask ifr_newname ifr_qlen
    ifr_slave m68k math_errhandling msg_cbytes noreturn physadr powerpc quad s6_addr s6_addr16 s6_addr32 sa_handler
    sa_sigaction sched_priority sgi si_addr si_addr_lsb si_arch si_band si_call_addr si_fd si_int si_lower si_overrun
    si_pid si_pkey si_ptr si_status si_stime si_syscall si_timerid si_uid si_upper si_utime si_value sigcontext_struct
    sigev_notify_attributes sigev_notify_function sparc st_atime st_ctime st_mtime sun tzname vax
""")
"""Words that an identifier must not be: keywords and types of C and of C++, whose programs may include the header, and
names that some compilers and headers of C and POSIX define as macros."""

PREFIXES = words("""
    blkcnt blksize char16 char32 char8 clock clockid dev div fpos gid id ino int16 int32 int64 int8 intmax intptr key
    ldiv lldiv locale max_align mode nlink off once pid ptrdiff sig_atomic size ssize time timer uid uint16 uint32
    uint64 uint8 uintmax uintptr wchar wctrans wctype wint
    alloca assert complex ctype endian fcntl features fenv float inttypes iso646 limits malloc math memory setjmp
    signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads
    uchar unistd
    aio arpa atomic atomic_char16 atomic_char32 atomic_int_fast16 atomic_int_fast32 atomic_int_fast64 atomic_int_fast8
    atomic_int_least16 atomic_int_least32 atomic_int_least64 atomic_int_least8 atomic_intmax atomic_intptr
    atomic_ptrdiff atomic_size atomic_uint_fast16 atomic_uint_fast32 atomic_uint_fast64 atomic_uint_fast8
    atomic_uint_least16 atomic_uint_least32 atomic_uint_least64 atomic_uint_least8 atomic_uintmax atomic_uintptr
    atomic_wchar blkcnt64 caddr cc cnd comparison_fn cookie_close_function cookie_io_functions cookie_read_function
    cookie_seek_function cookie_write_function cpio cpu_set daddr dirent dlfcn dls error extended femode fexcept flock
    fmtmsg fnmatch fpos64 fpregset fsblkcnt fsblkcnt64 fsfilcnt fsfilcnt64 fsid ftw glob glob64 greg gregset grp iconv
    idtype imaxdiv in_addr in_port inet6_opt inet6_option inet6_rth ino64 int_fast16 int_fast32 int_fast64 int_fast8
    int_least16 int_least32 int_least64 int_least8 langinfo libgen loff mbstate mcontext monetary mqd mqueue msglen
    msgqnum mtx netdb nfds nl_types off64 poll posix_spawn_file_actions posix_spawnattr pthread pthread_attr
    pthread_barrier pthread_barrierattr pthread_cond pthread_condattr pthread_key pthread_mutex pthread_mutexattr
    pthread_once pthread_rwlock pthread_rwlockattr pthread_spin pthread_spinlock pwd reg_errcode reg_syntax regex
    regmatch regoff rlim rlim64 sa_family sched search sem semaphore shmatt sig sigevent sighandler siginfo sigset
    sigval socklen spawn speed ss stack suseconds syslog tar tcflag termios thrd tss tss_dtor u_int16 u_int32 u_int64
    u_int8 u_quad u_register ucontext uint_fast16 uint_fast32 uint_fast64 uint_fast8 uint_least16 uint_least32
    uint_least64 uint_least8 ulimit useconds utime utmpx wait wordexp
    all clean depend edit_cache example help install list_install_components package package_source rebuild_cache test
    run
""")
"""Words that the files, type and functions of a network must not begin with, because `WORD_t` is a type of C or POSIX,
`WORD.h` a header, `WORD_init` a function of theirs, or `WORD` a target of make or CMake."""
FILES = ("snn", "weights", "probe", "selftest", "example", "start", "runner")
"""Words that the prefix of a network must not end with: the files of a network `a` are `a.c`, `a_snn.h`, and so on."""
ENDS = re.compile(r"_(in|out)(?=_|$)")
"""The words behind which the name of an input or output begins, as in the macro `A_IN_X_SIZE` of a network `a`."""
MAX_LENGTH = 40


def _resembling(name: str, fallback: str) -> str:
    """The name in lower-case ASCII letters, digits and underscores, a letter first; `fallback` if nothing is left.

    It does not begin with `snn_`, as helper functions of an emitted program do.
    """
    text = re.sub(r"[^0-9a-zA-Z]+", "_", name).strip("_").lower()[:MAX_LENGTH].rstrip("_") or fallback
    return f"n{text}" if text[0].isdigit() or f"{text}_".startswith("snn_") else text


def identifier(name: str) -> str:
    """A C identifier that resembles a name, of at most MAX_LENGTH + 1 characters: "Conv 1" gives `conv_1`."""
    text = _resembling(name, "node")
    return f"n{text}" if text in KEYWORDS else text


def prefix(name: str) -> str:
    """An identifier with which the names of a network's files, type, functions, constants and macros can begin.

    Networks with different prefixes have no such name in common, so that their files can lie in one folder and be one
    program, or one translation unit.
    """
    text = ENDS.sub(r"_\1put", _resembling(name, "net"))
    return f"{text}_net" if text in PREFIXES or text.endswith(tuple(f"_{w}" for w in FILES)) else text


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """A distinct identifier for each of these distinct names, by name: "a b" and "a.b" give `a_b` and `a_b_2`."""
    by_name: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = identifier(name)
        fresh, k = base, 1
        while fresh in taken:
            k += 1
            fresh = f"{base}_{k}"
        taken.add(fresh)
        by_name[name] = fresh
    return by_name


def comment(name: str) -> str:
    """The name as it may stand in a comment of any language: nothing in it can end or continue the comment.

    Other characters are replaced by underscores, and at most 80 are kept.
    """
    return re.sub(r"[^0-9a-zA-Z _.,:+\-\[\]()>=]", "_", name)[:80]
