// A backend that takes every HTTP/1.1 POST and throws it away without looking: what it costs must
// not be what is measured. Bodies are dropped in the kernel (MSG_TRUNC on a TCP socket copies
// nothing). They need a Content-Length; others are answered 411.
//
// usage: sink
// prints "port N", and on SIGTERM one JSON object: requests, bytes of bodies, its own CPU time.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 16384, EVENTS = 64 };
static const char ACCEPTED[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
static const char NO_LENGTH[] =
    "HTTP/1.1 411 Length Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

struct connection {
  int socket;
  uint64_t body_left;  // bytes still to drop; 0 while a head is read
  int in_body;
  size_t head_bytes;
  char head[HEAD_BYTES_MAX + 1];
};

static uint64_t requests, body_bytes;
static int epoll_fd;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(int socket, void *pointer) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = pointer};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, socket, &event) < 0) fail("epoll_ctl");
}

static void end(struct connection *connection) {
  close(connection->socket);
  free(connection);
}

static int answer(struct connection *connection, const char *text) {
  size_t bytes = strlen(text);
  return send(connection->socket, text, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

/** Drops what has come of the body; 0 when the connection is over. */
static int drop_body(struct connection *connection) {
  while (connection->body_left > 0) {
    size_t wanted = connection->body_left < (1u << 30) ? connection->body_left : 1u << 30;
    ssize_t got = recv(connection->socket, NULL, wanted, MSG_TRUNC | MSG_DONTWAIT);
    if (got == 0) return 0;
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    connection->body_left -= (uint64_t)got;
  }
  connection->in_body = 0;
  requests++;
  return answer(connection, ACCEPTED);
}

/** Reads a head; its end may be followed by a part of the body. 0 when the connection is over. */
static int read_head(struct connection *connection) {
  ssize_t got = recv(connection->socket, connection->head + connection->head_bytes,
                     HEAD_BYTES_MAX - connection->head_bytes, MSG_DONTWAIT);
  if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  connection->head_bytes += (size_t)got;
  connection->head[connection->head_bytes] = 0;
  char *head_end = strstr(connection->head, "\r\n\r\n");
  if (!head_end) return connection->head_bytes < HEAD_BYTES_MAX;
  char *length = strcasestr(connection->head, "\r\ncontent-length:");
  if (!length || length > head_end) {
    answer(connection, NO_LENGTH);
    return 0;
  }
  uint64_t bytes = strtoull(length + 17, NULL, 10);
  uint64_t here = connection->head_bytes - (size_t)(head_end + 4 - connection->head);
  if (here > bytes) return 0;  // nobody sends requests ahead of answers here
  body_bytes += bytes;
  connection->head_bytes = 0;
  connection->in_body = 1;
  connection->body_left = bytes - here;
  return drop_body(connection);
}

static void print_result(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  printf("{\"requests\":%llu,\"bytes\":%llu,\"cpuSeconds\":%.3f}\n", (unsigned long long)requests,
         (unsigned long long)body_bytes, cpu);
}

static int listen_socket(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, bytes) < 0) fail("bind");
  if (listen(listener, 128) < 0) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &bytes);
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

static void take_connection(int listener) {
  struct connection *connection = calloc(1, sizeof *connection);
  connection->socket = accept(listener, NULL, NULL);
  if (connection->socket < 0) {
    free(connection);
    return;
  }
  watch(connection->socket, connection);
}

int main(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  epoll_fd = epoll_create1(0);
  int stop = signalfd(-1, &signals, 0), listener = listen_socket();
  watch(stop, &stop);
  watch(listener, &listener);
  struct epoll_event events[EVENTS];
  for (;;) {
    int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
    for (int at = 0; at < ready; at++) {
      void *pointer = events[at].data.ptr;
      if (pointer == &stop) {
        print_result();
        return 0;
      }
      if (pointer == &listener) {
        take_connection(listener);
        continue;
      }
      struct connection *connection = pointer;
      int alive = connection->in_body ? drop_body(connection) : read_head(connection);
      if (!alive) end(connection);
    }
  }
}
