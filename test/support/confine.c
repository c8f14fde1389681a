// confine CALLS FAMILIES COMMAND...: runs a command as a hardened service would run it: without any
// capability, without a way to new ones, with the given system calls only (numbers, with commas
// between) and sockets of the given address families only. Another call fails with EPERM.

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "written for x64 and arm64"
#endif

enum { INSTRUCTIONS_MAX = 4096, LAST_CAPABILITY = 63 };

static struct sock_filter program[INSTRUCTIONS_MAX];
static unsigned short count;

static void add(struct sock_filter instruction) {
  if (count == INSTRUCTIONS_MAX) {
    fprintf(stderr, "confine: too many system calls\n");
    exit(2);
  }
  program[count++] = instruction;
}

static void load(size_t at) {
  add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at));
}

// If what was loaded is `value`, the next instruction; otherwise the one after it.
static void when(unsigned value) {
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
}

static void answer(unsigned what) {
  add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void allow_each(char *numbers, long except) {
  for (char *word = strtok(numbers, ","); word != NULL; word = strtok(NULL, ",")) {
    long number = strtol(word, NULL, 10);
    if (number == except) continue;
    when((unsigned)number);
    answer(SECCOMP_RET_ALLOW);
  }
}

static void drop_capabilities(void) {
  for (int capability = 0; capability <= LAST_CAPABILITY; capability++) {
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);  // fails for numbers that no kernel has
  }
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  if (syscall(SYS_capset, &header, none) != 0) {
    perror("confine: capset");
    exit(2);
  }
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: confine CALLS FAMILIES COMMAND...\n");
    return 2;
  }
  load(offsetof(struct seccomp_data, arch));
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0));
  answer(SECCOMP_RET_KILL_PROCESS);
  load(offsetof(struct seccomp_data, nr));
  allow_each(argv[1], SYS_socket);
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0));
  answer(SECCOMP_RET_ERRNO | EPERM);
  load(offsetof(struct seccomp_data, args[0]));
  allow_each(argv[2], -1);
  answer(SECCOMP_RET_ERRNO | EAFNOSUPPORT);

  drop_capabilities();
  struct sock_fprog filter = { .len = count, .filter = program };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
      || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    perror("confine: prctl");
    return 2;
  }
  execvp(argv[3], argv + 3);
  perror("confine: exec");
  return 2;
}
