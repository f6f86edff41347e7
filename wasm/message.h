/* Building one error sentence without stdio, which would pull WASI imports into the module. */
#ifndef TSBOX_MESSAGE_H
#define TSBOX_MESSAGE_H

#include "bytes.h"

#define MESSAGE_MAX 1024u

struct message {
    char text[MESSAGE_MAX];
    uint32_t length;
};

void message_clear(struct message *m);
void message_text(struct message *m, const char *text);
void message_number(struct message *m, uint64_t number);
/* In double quotes, unprintable bytes as \xNN, the middle of an overlong name left out. */
void message_name(struct message *m, struct bytes name);

#endif
