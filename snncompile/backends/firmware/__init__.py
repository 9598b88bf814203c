"""Firmware: the emitted C for a microcontroller, with what starts it on a board that QEMU emulates."""
