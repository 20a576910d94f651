# From `nm -n` of the image: its functions by address and their names, as panic.c reads them: offsets from IMAGE_BASE.
BEGIN { n = 0 }
$2 ~ /^[tT]$/ && $3 !~ /^[.L]/ && $1 != last { address[n] = $1; name[n++] = $3; last = $1 }
END {
    print ".section .symbols, \"a\""
    print "names = . "
    for (i = 0; i < n; i++) {
        printf ".long 0x%s, n%d - names\n", substr(address[i], 9), i
    }
    for (i = 0; i < n; i++)
        printf "n%d: .asciz \"%s\"\n", i, name[i]
}
