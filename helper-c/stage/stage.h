/* What the stage tells the monitor when the program cannot be executed: this kind, and errno in place of a pid (struct message). */
#ifndef TSBOX_STAGE_H
#define TSBOX_STAGE_H

#define STAGE_MESSAGE_KIND 6

#endif
