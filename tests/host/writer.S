/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A guest in one sector, for a host without KVM: writes the second sector of the disk it was booted
 * from about twice a second, for ever, through the BIOS. Never flushes, never reads. */

        .code16
        .globl  _start
_start:
        ljmp    $0, $1f
1:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        movb    %dl, drive
write:
        movw    $packet, %si
        movb    drive, %dl
        movw    $0x4300, %ax            /* extended write, no verify */
        int     $0x13
        movw    $9, %cx                 /* the timer ticks 18.2 times a second */
1:      hlt
        loop    1b
        jmp     write

drive:  .byte   0
        .balign 4
packet: .byte   16, 0
        .word   1                       /* sectors */
        .word   0x7e00, 0               /* what is in memory there, offset and segment */
        .quad   1                       /* where to */

        .org    510
        .word   0xaa55
