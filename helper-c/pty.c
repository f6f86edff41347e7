/*
 * Terminals: the container's, which is a pty of its own devpts, and the user's, which is raw as long
 * as the container has it. Raw mode outlives a process; so a guardian, a child that does nothing but
 * wait for the monitor's end, sets the terminal back when the monitor could not.
 */
#include "helper.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

/*** The container's ***/

/* Programs that write to /dev/console mean whoever looks at the container. Not every root has a
 * place for it, and none needs it: failing is no error. */
static void bind_console(const char *name)
{
    cleanup_fd int root = open_cloexec("/", O_PATH | O_DIRECTORY, 0);
    cleanup_fd int target = make_mount_point(root, "/dev/console", false);
    cleanup_fd int tree = open_tree(AT_FDCWD, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (target >= 0 && tree >= 0)
        attach(tree, target);
}

int pty_open(struct run *run)
{
    const struct op *user = plan_find(&run->plan, "user");
    cleanup_fd int master = open_cloexec("/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
    if (master < 0)
        return fail(errno, "/dev/pts/ptmx", "Cannot open a terminal");
    int unlocked = 0;
    struct winsize size = {.ws_row = run->rows, .ws_col = run->columns};
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return fail(errno, "/dev/pts/ptmx", "Cannot unlock the terminal");
    cleanup_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return fail(errno, "/dev/pts/ptmx", "Cannot open the terminal's other end");
    if (size.ws_row && size.ws_col)
        ioctl(slave, TIOCSWINSZ, &size);
    /* Programs reopen their terminal by name, so it must be theirs. The group stays devpts's. */
    if (user && fchown(slave, (uid_t)user->numbers[0], (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL)
        return fail(errno, NULL, "Cannot give the terminal to the user");
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return fail(errno, NULL, "Cannot make the terminal the controlling one");
    for (int fd = 0; fd < 3; fd++)
        if (dup2(slave, fd) < 0)
            return fail(errno, NULL, "Cannot use the terminal as standard input and output");
    unsigned number;
    if (run->plan.namespaces[NS_MOUNT] && ioctl(master, TIOCGPTN, &number) == 0) {
        char name[32];
        snprintf(name, sizeof name, "/dev/pts/%u", number);
        bind_console(name);
    }
    struct message message = {.kind = MESSAGE_PTY};
    if (message_send(run->socket, &message, master) < 0)
        return fail(errno, NULL, "Cannot hand the terminal to the monitor");
    return 0;
}

/*** The user's ***/

static struct termios original;
static int terminal = -1; /* a descriptor of the terminal that is raw */
static int guardian = -1; /* written to once all is well again */

bool terminal_size(uint16_t *rows, uint16_t *columns)
{
    struct winsize size;
    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
            *rows = size.ws_row;
            *columns = size.ws_col;
            return true;
        }
    return false;
}

/* A background process may change its terminal only while it does not listen to SIGTTOU. */
static void set_terminal(int fd, const struct termios *mode)
{
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTTOU);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    while (tcsetattr(fd, TCSADRAIN, mode) < 0 && errno == EINTR)
        ;
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void set_raw(void)
{
    struct termios raw = original;
    cfmakeraw(&raw);
    set_terminal(terminal, &raw);
}

_Noreturn static void guard(int end)
{
    char word;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "tsbox-tty", 0, 0, 0);
    dup2(end, 3);
    dup2(terminal, 0);
    syscall(SYS_close_range, 4u, ~0u, 0u);
    if (read_exact(3, &word, 1) == 0)
        set_terminal(0, &original);
    _exit(0);
}

void terminal_make_raw(void)
{
    int ends[2];
    if (tcgetattr(STDIN_FILENO, &original) < 0)
        return;
    terminal = STDIN_FILENO;
    if (pipe2(ends, O_CLOEXEC) == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[1]);
            guard(ends[0]);
        }
        close(ends[0]);
        guardian = ends[1];
    }
    set_raw();
}

void terminal_resume(void)
{
    if (terminal >= 0)
        set_raw();
}

void terminal_restore(void)
{
    if (terminal < 0)
        return;
    set_terminal(terminal, &original);
    terminal = -1;
    if (guardian >= 0) {
        ssize_t done = write(guardian, "", 1);
        (void)done;
        close(guardian);
        guardian = -1;
    }
}
