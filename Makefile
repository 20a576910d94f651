# Hospes: `make help` lists what there is.
CC      := gcc
BUILD   := build
VERSION := 0.1

V     ?= 0
DEBUG ?= 0
SAN   ?= 1
COV   ?= 0
export SAN COV
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@echo "  $(1)	$(2)")

# A debug build and a clang build have objects of their own.
is_clang := $(findstring clang,$(CC))
O := $(BUILD)/obj/$(notdir $(firstword $(CC)))$(if $(filter 1,$(DEBUG)),-debug)

SRCS := $(sort $(wildcard $(addprefix hypervisor/,$(foreach d,lib core pv arch/x86,$(d)/*.c $(d)/*.S))))
OBJS := $(patsubst %,$(O)/%.o,$(filter-out %/offsets.c %.lds.S,$(SRCS)))

INCLUDES := -Ihypervisor -Ihypervisor/arch/x86 -Ihypercall-abi/include -I$(BUILD)
MACHINE  := -m64 -mno-red-zone -mgeneral-regs-only -mcmodel=small -fpie -fvisibility=hidden \
            -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
            -fno-omit-frame-pointer -fno-strict-aliasing
CFLAGS   := -std=gnu11 -O2 -g -ffreestanding $(MACHINE) -Wall -Wextra -Werror \
            -include hypervisor/arch/x86/visibility.h \
            $(if $(filter 1,$(DEBUG)),-DHOSPES_DEBUG=1) \
            -DHOSPES_VERSION='"$(VERSION)"' -DHOSPES_COMPILER='"$(notdir $(firstword $(CC)))"' \
            $(if $(is_clang),,-fno-tree-loop-distribute-patterns)
ASFLAGS  := -D__ASSEMBLER__ -g -m64 -Wa,--noexecstack
LDFLAGS  := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
            -Wl,--gc-sections -Wl,--orphan-handling=error
# Decompressors for dom0's kernel: Debian's static archives, linked into memory freed after boot.
LIBS       := lzma zstd lz4 z
LIBS_ENTRY := lzma_stream_buffer_decode ZSTD_initStaticDCtx ZSTD_decompressDCtx \
              ZSTD_findFrameCompressedSize ZSTD_isError LZ4_decompress_safe inflateInit2_ inflate

.PHONY: force all help check test test-all run debug size bench fmt clean
.DELETE_ON_ERROR:

all: $(addprefix $(BUILD)/,hospes hospes.gz hospes-syms)

help:
	@echo "make              build/hospes (multiboot 1 and 2), build/hospes.gz, build/hospes-syms (for gdb)"
	@echo "make check        style, the ABI beside Xen's headers, host tests with gcc and clang (a minute)"
	@echo "make test         what CI runs: check, then boots in QEMU"
	@echo "make test-all     every combination of machines and loaders"
	@echo "make run          boot a dom0 in QEMU on this terminal"
	@echo "make debug        the same, waiting for gdb on port 1234"
	@echo "make bench        measure, beside Xen and the bare machine"
	@echo "make size         lines of code and bytes of the image, by room"
	@echo "make fmt          clang-format the hypervisor's C"
	@echo "make clean"
	@echo "Knobs: CC=clang V=1 DEBUG=1; for host tests SAN=0 COV=1"

# ---- the image ---------------------------------------------------------------------------------

$(BUILD)/offsets.h: hypervisor/arch/x86/offsets.c | $(O)
	$(call say,OFFSETS,$@)
	$(Q)$(CC) $(CFLAGS) $(INCLUDES) -MMD -MP -MT $@ -MF $(O)/offsets.d -S -o $(O)/offsets.s $<
	$(Q)sed -n 's/.*@@ \([A-Za-z0-9_]*\) \([0-9-]*\).*/#define \1 \2/p' $(O)/offsets.s > $@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@; touch $@

$(O):
	$(Q)mkdir -p $@

$(O)/%.c.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<

$(O)/%.S.o: %.S $(BUILD)/offsets.h Makefile
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ASFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<

$(O)/hospes.lds: hypervisor/arch/x86/hospes.lds.S Makefile
	$(call say,LDS,$@)
	$(Q)$(CC) -E -P -x assembler-with-cpp $(ASFLAGS) $(INCLUDES) -MMD -MP -MT $@ -o $@ $<

# Every section of theirs gets .init in front, so that the linker script puts it into init memory.
$(O)/archives.o: Makefile | $(O)
	$(call say,LIBS,$@)
	$(Q)ld -r -o $@.raw $(addprefix -u ,$(LIBS_ENTRY)) \
	    $(foreach a,$(LIBS),$(shell $(CC) -print-file-name=lib$a.a))
	$(Q)objcopy -R .eh_frame -R .comment -R '.note*' --prefix-alloc-sections=.init $@.raw $@

link = $(CC) $(LDFLAGS) -T $(O)/hospes.lds -o $@ $(filter %.o,$^)

# Linked twice: the names of all functions go behind all code, so none moves (see hospes.lds.S).
$(O)/hospes.1: $(OBJS) $(O)/archives.o $(O)/hospes.lds
	$(call say,LD,$@)
	$(Q)$(link)

$(O)/symbols.S: $(O)/hospes.1 hypervisor/arch/x86/symbols.awk
	$(Q)nm -n $< | awk -f hypervisor/arch/x86/symbols.awk > $@

$(O)/symbols.S.o: $(O)/symbols.S
	$(Q)$(CC) $(ASFLAGS) -c -o $@ $<

$(O)/hospes-syms: $(OBJS) $(O)/archives.o $(O)/symbols.S.o $(O)/hospes.lds
	$(call say,LD,$@)
	$(Q)$(link)

$(O)/hospes: $(O)/hospes-syms
	$(call say,IMAGE,$@)
	$(Q)objcopy --strip-all $< $@

$(O)/hospes.gz: $(O)/hospes
	$(Q)gzip -9nc $< > $@

# The last one asked for, whichever compiler and knobs.
$(addprefix $(BUILD)/,hospes hospes.gz hospes-syms): $(BUILD)/%: $(O)/% force
	$(Q)cmp -s $< $@ || cp $< $@

-include $(OBJS:.o=.d) $(O)/offsets.d $(O)/hospes.d

clean:
	rm -rf $(BUILD)/obj $(BUILD)/host $(BUILD)/hospes $(BUILD)/hospes.gz $(BUILD)/hospes-syms

# ---- tests -------------------------------------------------------------------------------------

check:
	tests/install-deps
	tests/style/check-includes
	tests/style/check-style
	tests/style/check-tests
	tests/abi/run || [ $$? = 77 ]
	CC=gcc COV=1 tests/host/run
	CC=clang tests/host/run

test:
	tests/install-deps
	$(MAKE) check all
	tests/system/run --hv $(BUILD)/hospes

test-all: test
	tests/system/run --hv $(BUILD)/hospes --all

run:
	tests/install-deps
	$(MAKE) all
	tests/system/boot

debug: all
	@echo "gdb $(BUILD)/hospes-syms -ex 'target remote :1234'"
	tests/system/boot -s -S

bench: all
	tests/bench/run

# ---- housekeeping ------------------------------------------------------------------------------

size: all
	@tests/style/size $(BUILD)/hospes-syms

fmt:
	clang-format -i $(shell find hypervisor -name '*.[ch]')
