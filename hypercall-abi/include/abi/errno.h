/*
 * Error numbers as hypercalls return them, negated, in RAX. They equal Linux's on x86, but they
 * are part of this ABI and do not follow any libc; each is guarded so <errno.h> may come first.
 */
#ifndef ABI_ERRNO_H
#define ABI_ERRNO_H

#ifndef EPERM
#define EPERM           1
#endif
#ifndef ENOENT
#define ENOENT          2
#endif
#ifndef ESRCH
#define ESRCH           3
#endif
#ifndef EINTR
#define EINTR           4
#endif
#ifndef EIO
#define EIO             5
#endif
#ifndef ENXIO
#define ENXIO           6
#endif
#ifndef E2BIG
#define E2BIG           7
#endif
#ifndef ENOEXEC
#define ENOEXEC         8
#endif
#ifndef EBADF
#define EBADF           9
#endif
#ifndef ECHILD
#define ECHILD          10
#endif
#ifndef EAGAIN
#define EAGAIN          11
#endif
#ifndef EWOULDBLOCK
#define EWOULDBLOCK     EAGAIN
#endif
#ifndef ENOMEM
#define ENOMEM          12
#endif
#ifndef EACCES
#define EACCES          13
#endif
#ifndef EFAULT
#define EFAULT          14
#endif
#ifndef EBUSY
#define EBUSY           16
#endif
#ifndef EEXIST
#define EEXIST          17
#endif
#ifndef EXDEV
#define EXDEV           18
#endif
#ifndef ENODEV
#define ENODEV          19
#endif
#ifndef ENOTDIR
#define ENOTDIR         20
#endif
#ifndef EISDIR
#define EISDIR          21
#endif
#ifndef EINVAL
#define EINVAL          22
#endif
#ifndef ENFILE
#define ENFILE          23
#endif
#ifndef EMFILE
#define EMFILE          24
#endif
#ifndef ENOSPC
#define ENOSPC          28
#endif
#ifndef EROFS
#define EROFS           30
#endif
#ifndef EMLINK
#define EMLINK          31
#endif
#ifndef EDOM
#define EDOM            33
#endif
#ifndef ERANGE
#define ERANGE          34
#endif
#ifndef EDEADLK
#define EDEADLK         35
#endif
#ifndef EDEADLOCK
#define EDEADLOCK       EDEADLK
#endif
#ifndef ENAMETOOLONG
#define ENAMETOOLONG    36
#endif
#ifndef ENOLCK
#define ENOLCK          37
#endif
#ifndef ENOSYS
#define ENOSYS          38
#endif
#ifndef ENOTEMPTY
#define ENOTEMPTY       39
#endif
#ifndef ENODATA
#define ENODATA         61
#endif
#ifndef ETIME
#define ETIME           62
#endif
#ifndef EBADMSG
#define EBADMSG         74
#endif
#ifndef EOVERFLOW
#define EOVERFLOW       75
#endif
#ifndef EILSEQ
#define EILSEQ          84
#endif
#ifndef ERESTART
#define ERESTART        85
#endif
#ifndef ENOTSOCK
#define ENOTSOCK        88
#endif
#ifndef EMSGSIZE
#define EMSGSIZE        90
#endif
#ifndef EOPNOTSUPP
#define EOPNOTSUPP      95
#endif
#ifndef EADDRINUSE
#define EADDRINUSE      98
#endif
#ifndef EADDRNOTAVAIL
#define EADDRNOTAVAIL   99
#endif
#ifndef ENOBUFS
#define ENOBUFS         105
#endif
#ifndef EISCONN
#define EISCONN         106
#endif
#ifndef ENOTCONN
#define ENOTCONN        107
#endif
#ifndef ETIMEDOUT
#define ETIMEDOUT       110
#endif
#ifndef ECONNREFUSED
#define ECONNREFUSED    111
#endif

#endif
