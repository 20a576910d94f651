"""
A process in dom0 finds the processor as on the bare machine: exceptions, privileges, registers,
floating point, segments, debugging. See images/cpu-checks.c.
"""
from machine import Point
from testing import Test


def finds_the_processor(point):
    def run(r):
        with r.boot(point, cmdline="hospes.checks=cpu") as m:
            r.note_all(m.checks())
    return run


TESTS = [
    Test("processor", finds_the_processor(Point(cpus=2))),
    Test("processor-alone", finds_the_processor(Point()), False),
]
