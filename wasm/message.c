#include "message.h"

/* So much of a name is shown at its beginning and at its end. */
#define NAME_HEAD 160u
#define NAME_TAIL 80u

static void put(struct message *m, char c) {
    if (m->length < MESSAGE_MAX) m->text[m->length++] = c;
}

void message_clear(struct message *m) {
    m->length = 0;
}

void message_text(struct message *m, const char *text) {
    for (; *text; text++) put(m, *text);
}

void message_number(struct message *m, uint64_t number) {
    char digits[20];
    unsigned n = 0;
    do digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (n > 0) put(m, digits[--n]);
}

/* Length of the well-formed UTF-8 sequence at the start of b; 0 if there is none. */
static uint32_t utf8_length(struct bytes b) {
    uint8_t first = b.at[0];
    uint32_t n = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : (first & 0xf0) == 0xe0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
    if (n == 0 || n > b.length) return 0;
    for (uint32_t i = 1; i < n; i++)
        if ((b.at[i] & 0xc0) != 0x80) return 0;
    if (first == 0xe0 && b.at[1] < 0xa0) return 0; /* overlong */
    if (first == 0xed && b.at[1] >= 0xa0) return 0; /* a surrogate */
    if (first == 0xf0 && b.at[1] < 0x90) return 0; /* overlong */
    if (first == 0xf4 && b.at[1] >= 0x90) return 0; /* beyond U+10FFFF */
    return n;
}

static void put_escaped(struct message *m, struct bytes b) {
    static const char hex[] = "0123456789abcdef";
    while (b.length > 0) {
        uint32_t n = utf8_length(b);
        bool plain = n > 1 || (n == 1 && b.at[0] >= 0x20 && b.at[0] != 0x7f);
        /* A terminal also obeys U+0080–U+009F. */
        if (n == 2 && b.at[0] == 0xc2 && b.at[1] < 0xa0) plain = false;
        if (plain) {
            for (uint32_t i = 0; i < n; i++) put(m, (char)b.at[i]);
        } else {
            if (n == 0) n = 1;
            for (uint32_t i = 0; i < n; i++) {
                put(m, '\\');
                put(m, 'x');
                put(m, hex[b.at[i] >> 4]);
                put(m, hex[b.at[i] & 15]);
            }
        }
        b = bytes_from(b, n);
    }
}

void message_name(struct message *m, struct bytes name) {
    put(m, '"');
    if (name.length <= NAME_HEAD + NAME_TAIL) {
        put_escaped(m, name);
    } else {
        put_escaped(m, (struct bytes){name.at, NAME_HEAD});
        message_text(m, "...");
        put_escaped(m, bytes_from(name, name.length - NAME_TAIL));
    }
    put(m, '"');
}
