// HTTP/1.1 load whose trace ids are always fresh.
//
// One request template (a file) is copied per connection; before each request the 16-byte trace ids in
// it are overwritten in place. Group g of request n carries trace number (n + g * spread / groups) /
// spread, so that a trace lives for `spread` consecutive requests, groups are staggered, and traces
// cross bodies and connections. One thread, epoll, keep-alive, closed loop or a steady rate.
//
// usage: generator HOST_PORT PATH TEMPLATE OFFSETS CONNECTIONS SECONDS RATE SPREAD SEED
//   TEMPLATE  request body; OFFSETS  text file, one "<byte offset> <group>" a line
//   RATE      requests a second, 0 = closed loop
// prints one JSON object: seconds, sent, status counts, reconnects, latency percentiles in ms.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_BYTES = 8192, EVENTS = 128, LATENCY_BUCKETS = 64 * 1024, BUCKET_US = 20 };

struct connection {
  int socket;
  char *request;
  size_t sent;      // bytes of the request written; request_bytes when waiting for the reply
  int busy;
  double fired_at;
  size_t reply_bytes;
  char reply[REPLY_BYTES + 1];
};

static const char *template_head;
static size_t request_bytes, head_bytes;
static uint32_t *id_at, *id_group;
static size_t id_count, group_count;
static uint64_t seed, spread = 4, request_number;
static uint64_t status_counts[600], reconnects, failed;
static uint64_t latency[LATENCY_BUCKETS];
static int port, epoll_fd;

static double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint64_t scramble(uint64_t value) {  // splitmix64's finaliser (Steele, Lea, Flood 2014)
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void write_ids(char *body) {
  uint64_t ids[group_count ? group_count : 1][2];
  for (size_t group = 0; group < group_count; group++) {
    uint64_t trace = (request_number + group * spread / group_count) / spread;
    uint64_t key = seed + trace * 0x9e3779b97f4a7c15ull + group * 0xd1342543de82ef95ull;
    ids[group][0] = scramble(key);
    ids[group][1] = scramble(key ^ 0x5851f42d4c957f2dull) | 1;  // never all zero
  }
  for (size_t at = 0; at < id_count; at++) memcpy(body + id_at[at], ids[id_group[at]], 16);
  request_number++;
}

static void open_socket(struct connection *connection) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  connection->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(connection->socket, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connection->busy = 0;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->socket, &event);
}

static void want_output(struct connection *connection, int wanted) {
  struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = connection};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->socket, &event);
}

static void push(struct connection *connection) {
  while (connection->sent < request_bytes) {
    ssize_t written = send(connection->socket, connection->request + connection->sent,
                           request_bytes - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written <= 0) {
      want_output(connection, 1);
      return;
    }
    connection->sent += (size_t)written;
  }
}

static void fire(struct connection *connection, double at) {
  write_ids(connection->request + head_bytes);
  connection->sent = 0;
  connection->reply_bytes = 0;
  connection->busy = 1;
  connection->fired_at = at;
  push(connection);
}

static void reopen(struct connection *connection) {
  if (connection->busy) failed++;
  reconnects++;
  close(connection->socket);
  open_socket(connection);
}

static void take_reply(struct connection *connection) {
  ssize_t got = recv(connection->socket, connection->reply + connection->reply_bytes,
                     REPLY_BYTES - connection->reply_bytes, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) {
    reopen(connection);
    return;
  }
  if (got < 0) return;
  connection->reply_bytes += (size_t)got;
  connection->reply[connection->reply_bytes] = 0;
  char *end = strstr(connection->reply, "\r\n\r\n");
  if (!connection->busy || !end) return;
  char *length = strcasestr(connection->reply, "content-length:");
  size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
  if (connection->reply_bytes < (size_t)(end - connection->reply) + 4 + body) return;
  long status = strtol(connection->reply + 9, NULL, 10);
  if (status > 0 && status < 600) status_counts[status]++;
  uint64_t bucket = (uint64_t)((now_seconds() - connection->fired_at) * 1e6 / BUCKET_US);
  latency[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
  connection->busy = 0;
}

static double percentile(double share) {
  uint64_t total = 0, seen = 0;
  for (size_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) total += latency[bucket];
  for (size_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
    seen += latency[bucket];
    if (total > 0 && (double)seen >= share * (double)total) return (double)(bucket + 1) * BUCKET_US / 1e3;
  }
  return 0;
}

static void read_template(const char *path, const char *body_file) {
  FILE *file = fopen(body_file, "rb");
  if (!file) fail(body_file);
  fseek(file, 0, SEEK_END);
  size_t body_bytes = (size_t)ftell(file);
  rewind(file);
  char *request = malloc(body_bytes + 512);
  head_bytes = (size_t)sprintf(request,
      "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
      "Content-Length: %zu\r\n\r\n", path, body_bytes);
  if (fread(request + head_bytes, 1, body_bytes, file) != body_bytes) fail("read");
  fclose(file);
  request_bytes = head_bytes + body_bytes;
  template_head = request;
}

static void read_offsets(const char *name) {
  FILE *file = fopen(name, "r");
  if (!file) fail(name);
  size_t room = 1024;
  id_at = malloc(room * sizeof *id_at);
  id_group = malloc(room * sizeof *id_group);
  while (fscanf(file, "%u %u", &id_at[id_count], &id_group[id_count]) == 2) {
    if (id_group[id_count] >= group_count) group_count = id_group[id_count] + 1;
    if (++id_count == room) {
      room *= 2;
      id_at = realloc(id_at, room * sizeof *id_at);
      id_group = realloc(id_group, room * sizeof *id_group);
    }
  }
  fclose(file);
}

int main(int count, char **arguments) {
  if (count != 10) {
    fprintf(stderr, "usage: generator PORT PATH TEMPLATE OFFSETS CONNECTIONS SECONDS RATE SPREAD SEED\n");
    return 2;
  }
  port = atoi(arguments[1]);
  read_template(arguments[2], arguments[3]);
  read_offsets(arguments[4]);
  size_t connections = strtoul(arguments[5], NULL, 10);
  double seconds = strtod(arguments[6], NULL), rate = strtod(arguments[7], NULL);
  spread = strtoull(arguments[8], NULL, 10);
  seed = scramble(strtoull(arguments[9], NULL, 10));
  epoll_fd = epoll_create1(0);
  struct connection *all = calloc(connections, sizeof *all);
  for (size_t at = 0; at < connections; at++) {
    all[at].request = malloc(request_bytes);
    memcpy(all[at].request, template_head, request_bytes);
    open_socket(&all[at]);
  }
  double started = now_seconds(), end = started + seconds;
  struct epoll_event events[EVENTS];
  for (double now = started; now < end; now = now_seconds()) {
    for (size_t at = 0; at < connections; at++) {
      if (all[at].busy) continue;
      if (rate > 0 && (double)request_number >= (now - started) * rate) break;
      fire(&all[at], now_seconds());
    }
    int ready = epoll_wait(epoll_fd, events, EVENTS, rate > 0 ? 1 : 5);
    for (int at = 0; at < ready; at++) {
      struct connection *connection = events[at].data.ptr;
      if (events[at].events & EPOLLOUT) {
        want_output(connection, 0);
        push(connection);
      }
      if (events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take_reply(connection);
    }
  }
  printf("{\"seconds\":%.3f,\"sent\":%llu,\"reconnects\":%llu,\"failed\":%llu,\"p50Ms\":%.2f,"
         "\"p99Ms\":%.2f,\"maxMs\":%.2f,\"status\":{", now_seconds() - started,
         (unsigned long long)request_number, (unsigned long long)reconnects,
         (unsigned long long)failed, percentile(0.5), percentile(0.99), percentile(1));
  int first = 1;
  for (int status = 0; status < 600; status++) {
    if (!status_counts[status]) continue;
    printf("%s\"%d\":%llu", first ? "" : ",", status, (unsigned long long)status_counts[status]);
    first = 0;
  }
  printf("}}\n");
  return 0;
}
