/* The store's protocol: each message is a header and len bytes, the same on rings and sockets. */
#ifndef ABI_XS_WIRE_H
#define ABI_XS_WIRE_H

#include <abi/guest.h>

enum xsd_sockmsg_type {
    XS_CONTROL,
    XS_DIRECTORY,
    XS_READ,
    XS_GET_PERMS,
    XS_WATCH,
    XS_UNWATCH,
    XS_TRANSACTION_START,
    XS_TRANSACTION_END,             /* "T" commits, "F" gives up              */
    XS_INTRODUCE,
    XS_RELEASE,
    XS_GET_DOMAIN_PATH,
    XS_WRITE,
    XS_MKDIR,
    XS_RM,
    XS_SET_PERMS,
    XS_WATCH_EVENT,                 /* only ever sent by the store            */
    XS_ERROR,                       /* only ever sent by the store: a name    */
    XS_IS_DOMAIN_INTRODUCED,
    XS_RESUME,
    XS_SET_TARGET,
    XS_RESET_WATCHES = XS_SET_TARGET + 2,
    XS_DIRECTORY_PART,
    XS_TYPE_COUNT,
    XS_INVALID = 0xffff
};
#define XS_DEBUG XS_CONTROL         /* its former name                        */

#define XS_WRITE_NONE        "NONE"
#define XS_WRITE_CREATE      "CREATE"
#define XS_WRITE_CREATE_EXCL "CREATE|EXCL"

struct xsd_sockmsg {
    uint32_t type;                  /* XS_*                                   */
    uint32_t req_id;                /* echoed in the answer                   */
    uint32_t tx_id;                 /* 0: outside any transaction             */
    uint32_t len;                   /* of what follows, XENSTORE_PAYLOAD_MAX at most */
};
ABI_SIZE(struct xsd_sockmsg, 0x10);

/* Parts of the payload of a watch event. */
enum xs_watch_type {
    XS_WATCH_PATH = 0,
    XS_WATCH_TOKEN
};

#define XENSTORE_PAYLOAD_MAX  4096
#define XENSTORE_ABS_PATH_MAX 3072
#define XENSTORE_REL_PATH_MAX 2048

/* The store page of a domain. */
#define XENSTORE_RING_SIZE      1024
#define MASK_XENSTORE_IDX(idx)  ((idx) & (XENSTORE_RING_SIZE - 1))
typedef uint32_t XENSTORE_RING_IDX;

struct xenstore_domain_interface {
    char req[XENSTORE_RING_SIZE];   /* domain to store                        */
    char rsp[XENSTORE_RING_SIZE];   /* store to domain                        */
    XENSTORE_RING_IDX req_cons, req_prod;
    XENSTORE_RING_IDX rsp_cons, rsp_prod;
    uint32_t server_features;       /* XENSTORE_SERVER_FEATURE_*              */
    uint32_t connection;            /* XENSTORE_CONNECTED, _RECONNECT         */
    uint32_t error;                 /* XENSTORE_ERROR_*                       */
};
ABI_SIZE(struct xenstore_domain_interface, 0x81c);
ABI_OFFSET(struct xenstore_domain_interface, rsp, 0x400);
ABI_OFFSET(struct xenstore_domain_interface, req_cons, 0x800);
ABI_OFFSET(struct xenstore_domain_interface, rsp_cons, 0x808);
ABI_OFFSET(struct xenstore_domain_interface, server_features, 0x810);
ABI_OFFSET(struct xenstore_domain_interface, error, 0x818);
#define XENSTORE_SERVER_FEATURE_RECONNECTION 1
#define XENSTORE_SERVER_FEATURE_ERROR        2
#define XENSTORE_CONNECTED 0
#define XENSTORE_RECONNECT 1        /* the domain asks for a fresh start      */
#define XENSTORE_ERROR_NONE    0
#define XENSTORE_ERROR_COMM    1
#define XENSTORE_ERROR_RINGIDX 2
#define XENSTORE_ERROR_PROTO   3

/* The "state" key with which the two halves of a split device find each other. */
enum xenbus_state {
    XenbusStateUnknown = 0,
    XenbusStateInitialising = 1,
    XenbusStateInitWait = 2,        /* backend: tell me your ring             */
    XenbusStateInitialised = 3,     /* frontend: here it is                   */
    XenbusStateConnected = 4,
    XenbusStateClosing = 5,
    XenbusStateClosed = 6,
    XenbusStateReconfiguring = 7,
    XenbusStateReconfigured = 8
};

#endif
