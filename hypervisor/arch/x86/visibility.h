/* Included before every file: nothing is exported, so data is reached without a GOT. */
#pragma GCC visibility push(hidden)
