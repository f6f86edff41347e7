/*
 * For functions with one caller, into which a compiler would put them. V8 compiles a function well once it has been called often, meanwhile runs
 * what it compiled in haste, and takes for a function ten times as long much more than ten times the time.
 */
#ifndef TSBOX_APART_H
#define TSBOX_APART_H

#define APART __attribute__((noinline))

#endif
