/* The launcher's parts. A kept start is a list of words, each ended by a NUL ("Contract 3" in ARCHITECTURE.md). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define KEPT_VERSION "1"
#define HASH_START 2166136261u
#define NAME_FLAG "--name"

enum {
    MOST_BYTES = 1 << 20,    /* of a kept start; larger ones are not kept */
    MOST_MADE = 64,          /* files and folders of one container */
    MOST_WORDS = 256,        /* of one list */
    JOURNAL_MOST = 4 << 20,  /* past this size the runner sets the journal aside (runner/container/journal.ts) */
    NAME_ATTEMPTS = 20,
    PLACEHOLDER = 1,         /* this byte and a letter stand for a fresh value */
};

enum pass { CHECK, MAKE };

/* What must be fresh, as text. */
struct fresh {
    char id[65], short_id[13], name[160], created[48], now[32], pid[16], started[32];
};

struct kept {
    char *at, *end;          /* what is still to be read */
    enum pass pass;
    char **arguments;        /* of this program, without its name */
    const char *program;     /* where it lies: the helper is beside it */
    const char *cwd;
    struct fresh fresh;
    mode_t mask;             /* the caller's umask */
    const char *root;        /* of the store */
    int folder;              /* of the container; -1 before it is there */
    char *name_link;         /* absolute paths of what was made, for taking it back */
    char *folder_path;
    const char *made[MOST_MADE];
    int made_count;
};

/* words.c: what follows in it; false or NULL where it does not. */
const char *next_word(struct kept *kept);
bool next_number(struct kept *kept, int base, uint64_t *number);
bool next_list(struct kept *kept, const char **words, size_t *count);
bool next_bytes(struct kept *kept, const char **bytes, size_t *length);
ssize_t read_small(const char *path, char *out, size_t size);
uint32_t hash_on(uint32_t hash, const char *bytes, size_t length);

/* fresh.c */
bool make_fresh(struct fresh *fresh);
uint64_t nanoseconds(struct timespec time);
char *filled(const struct fresh *fresh, const char *bytes, size_t length, size_t *filled_length);
char *filled_word(const struct fresh *fresh, const char *word);

/* conditions.c: true if it is as it was. */
bool arguments(struct kept *kept);
bool directory(struct kept *kept);
bool caller(struct kept *kept);
bool program(struct kept *kept);
bool variable(struct kept *kept);
bool unset(struct kept *kept);
bool text(struct kept *kept);
bool there(struct kept *kept);
bool same(struct kept *kept);
bool absent(struct kept *kept);

/* making.c: in pass MAKE each does what it says, in CHECK it reads its words only. */
bool store(struct kept *kept);
bool name(struct kept *kept);
bool name_of(struct kept *kept);
bool folder(struct kept *kept);
bool file(struct kept *kept);
bool rename_file(struct kept *kept);
bool journal(struct kept *kept);
bool helper(struct kept *kept);
void take_back(struct kept *kept);
