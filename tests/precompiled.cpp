// What carries the precompiled headers of the tests.
