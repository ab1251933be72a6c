"""The rules, the verdict, the assembler and `trunktrace diagnose`."""
