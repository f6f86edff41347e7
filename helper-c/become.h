/* Before another program is executed: what Node, a shell or make have left is undone. */
#ifndef TSBOX_BECOME_H
#define TSBOX_BECOME_H

/* 0, 1 and 2 stay open and block; every signal has its default action, and none is blocked. */
void become_clean(void);

#endif
