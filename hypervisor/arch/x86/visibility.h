/* Included before every file: nothing is exported, so all data is reached relative to rip, without a GOT. */
#pragma GCC visibility push(hidden)
