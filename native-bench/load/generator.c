// HTTP/1.1 load whose ids are always fresh: a load that repeats its trace ids measures late spans
// and one giant trace, not a gateway.
//
// One request (a body from a file) is copied per connection; before each sending the ids in it are
// overwritten in place. Group g of request n carries the trace numbered
//   (n + g * spread / groups) / spread
// so a trace lives for `spread` requests in a row, groups are staggered, and traces cross bodies
// and connections. Span ids are new each time. Requests are numbered, so the same seed and number
// of requests give the same ids whatever the timing was.
//
// Closed loop: a connection sends its next request when it has read the answer. Open loop: request
// n is due at n / rate, and its latency counts from then, also while every connection is busy; so a
// gateway that stalls cannot hide it (coordinated omission).
//
// At the end what is under way is awaited, so that every answer that was given is counted.
//
// usage: generator PORT[,PORT...] PATH TYPE BODY IDS CONNECTIONS SECONDS RATE REQUESTS SPREAD SEED
//   PORT      of several, connections take turns: a trace's requests reach different gateways
//   TYPE      Content-Type of the requests
//   BODY      file with the request body
//   IDS       file with lines "<byte offset> <16 or 8 bytes> <group> <r or h>"; 16 = trace id, 8 =
//             span id; r = raw bytes, h = as hexadecimal digits, two a byte
//   RATE      requests a second, 0 = closed loop
//   REQUESTS  the most that are sent, 0 = as many as SECONDS allow
// prints one JSON object; times of latencies are ms.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  REPLY_BYTES = 8192, EVENTS = 256, STATUS_CODES = 600, GROUPS_MAX = 65536, PORTS_MAX = 64,
  SUB_BUCKETS = 64, BUCKETS = 64 * SUB_BUCKETS  // log-linear: 1.6 % apart
};
static const double ANSWERS_AWAITED_SECONDS = 10;

struct connection {
  int socket, port;
  int waiting;        // for an answer
  int wants_output;   // what epoll was told
  char *request;
  size_t sent;        // bytes of the request written; an answer may come before the end
  double counted_from;
  size_t reply_bytes;
  char reply[REPLY_BYTES + 1];
};
struct id { uint32_t at, bytes, group; char form; };

static const char *first_request;
static size_t request_bytes, head_bytes, id_count, group_count;
static struct id *ids;
static uint64_t (*trace_ids)[2];
static uint64_t seed, spread, request_number;
static uint64_t status_counts[STATUS_CODES], reconnects, broken, waiting_count;
static uint64_t latency_counts[BUCKETS], latency_total;
static double latency_max_us;
static int ports[PORTS_MAX], epoll_fd;
static size_t port_count;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

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

static void write_id(char *body, const struct id *id, const void *value) {
  if (id->form == 'r') {
    memcpy(body + id->at, value, id->bytes);
    return;
  }
  static const char digits[] = "0123456789abcdef";
  const unsigned char *bytes = value;
  for (uint32_t byte = 0; byte < id->bytes; byte++) {
    body[id->at + 2 * byte] = digits[bytes[byte] >> 4];
    body[id->at + 2 * byte + 1] = digits[bytes[byte] & 15];
  }
}

static void write_ids(char *body) {
  for (size_t group = 0; group < group_count; group++) {
    uint64_t trace = (request_number + group * spread / group_count) / spread;
    uint64_t key = seed + trace * 0x9e3779b97f4a7c15ull + group * 0xd1342543de82ef95ull;
    trace_ids[group][0] = scramble(key);
    trace_ids[group][1] = scramble(key ^ 0x5851f42d4c957f2dull) | 1;  // never all zero
  }
  for (size_t index = 0; index < id_count; index++) {
    const struct id *id = &ids[index];
    if (id->bytes == 16) {
      write_id(body, id, trace_ids[id->group]);
    } else {
      uint64_t span_id = scramble(seed ^ (request_number * id_count + index)) | 1;
      write_id(body, id, &span_id);
    }
  }
  request_number++;
}

static void watch(struct connection *connection, int operation) {
  struct epoll_event event = {.data.ptr = connection};
  event.events = EPOLLIN | (connection->wants_output ? EPOLLOUT : 0);
  if (epoll_ctl(epoll_fd, operation, connection->socket, &event) < 0) fail("epoll_ctl");
}

static void want_output(struct connection *connection, int wanted) {
  if (connection->wants_output == wanted) return;
  connection->wants_output = wanted;
  watch(connection, EPOLL_CTL_MOD);
}

static void open_socket(struct connection *connection) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)connection->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  connection->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connection->socket < 0) fail("socket");
  if (connect(connection->socket, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connection->waiting = 0;
  connection->wants_output = 0;
  connection->sent = request_bytes;
  watch(connection, EPOLL_CTL_ADD);
}

static int is_free(const struct connection *connection) {
  return !connection->waiting && connection->sent == request_bytes;
}

static void push(struct connection *connection) {
  while (connection->sent < request_bytes) {
    ssize_t written = send(connection->socket, connection->request + connection->sent,
                           request_bytes - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written <= 0) break;  // a lost connection shows when it is read
    connection->sent += (size_t)written;
  }
  want_output(connection, connection->sent < request_bytes);
}

static void fire(struct connection *connection, double counted_from) {
  write_ids(connection->request + head_bytes);
  connection->sent = 0;
  connection->reply_bytes = 0;
  connection->waiting = 1;
  waiting_count++;
  connection->counted_from = counted_from;
  push(connection);
}

static void reopen(struct connection *connection) {
  if (connection->waiting) {
    broken++;
    waiting_count--;
  }
  reconnects++;
  close(connection->socket);
  open_socket(connection);
}

static size_t bucket_of(double microseconds) {
  uint64_t value = (uint64_t)microseconds + SUB_BUCKETS;
  int power = 63 - __builtin_clzll(value) - 6;  // SUB_BUCKETS = 2^6
  size_t bucket = (size_t)power * SUB_BUCKETS + (size_t)(value >> power) - SUB_BUCKETS;
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double bucket_end_us(size_t bucket) {
  uint64_t power = bucket / SUB_BUCKETS, place = bucket % SUB_BUCKETS + SUB_BUCKETS + 1;
  return (double)(place << power) - SUB_BUCKETS;
}

static void count_answer(struct connection *connection) {
  long status = strtol(connection->reply + 9, NULL, 10);
  if (status > 0 && status < STATUS_CODES) status_counts[status]++;
  double microseconds = (now_seconds() - connection->counted_from) * 1e6;
  if (microseconds > latency_max_us) latency_max_us = microseconds;
  latency_counts[bucket_of(microseconds)]++;
  latency_total++;
  connection->waiting = 0;
  waiting_count--;
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
  if (!connection->waiting || !end) return;
  char *length = strcasestr(connection->reply, "content-length:");
  size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
  if (connection->reply_bytes < (size_t)(end - connection->reply) + 4 + body) return;
  count_answer(connection);
}

static double percentile_ms(double share) {
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
    seen += latency_counts[bucket];
    if (seen > 0 && (double)seen >= share * (double)latency_total) {
      double end_us = bucket_end_us(bucket);
      return (end_us < latency_max_us ? end_us : latency_max_us) / 1e3;
    }
  }
  return 0;
}

static void read_ports(char *list) {
  for (char *port = strtok(list, ","); port && port_count < PORTS_MAX; port = strtok(NULL, ",")) {
    ports[port_count++] = atoi(port);
  }
}

static void read_body(const char *path, const char *type, const char *file_name) {
  FILE *file = fopen(file_name, "rb");
  if (!file) fail(file_name);
  fseek(file, 0, SEEK_END);
  size_t body_bytes = (size_t)ftell(file);
  rewind(file);
  char *request = malloc(body_bytes + strlen(path) + strlen(type) + 512);
  head_bytes = (size_t)sprintf(request,
      "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\n"
      "Content-Length: %zu\r\n\r\n", path, type, body_bytes);
  if (fread(request + head_bytes, 1, body_bytes, file) != body_bytes) fail(file_name);
  fclose(file);
  request_bytes = head_bytes + body_bytes;
  first_request = request;
}

static void read_ids(const char *file_name) {
  FILE *file = fopen(file_name, "r");
  if (!file) fail(file_name);
  size_t room = 1024;
  struct id id;
  ids = malloc(room * sizeof *ids);
  while (fscanf(file, "%u %u %u %c", &id.at, &id.bytes, &id.group, &id.form) == 4) {
    if (head_bytes + id.at + id.bytes * (id.form == 'h' ? 2 : 1) > request_bytes || id.group >= GROUPS_MAX) {
      fprintf(stderr, "%s: an id outside the body\n", file_name);
      exit(1);
    }
    if (id.group >= group_count) group_count = id.group + 1;
    if (id_count == room) ids = realloc(ids, (room *= 2) * sizeof *ids);
    ids[id_count++] = id;
  }
  fclose(file);
  trace_ids = calloc(group_count + 1, sizeof *trace_ids);
}

static void handle_events(int wait_ms) {
  struct epoll_event events[EVENTS];
  int ready = epoll_wait(epoll_fd, events, EVENTS, wait_ms);
  for (int at = 0; at < ready; at++) {
    struct connection *connection = events[at].data.ptr;
    if (events[at].events & EPOLLOUT) push(connection);
    if (events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take_reply(connection);
  }
}

/** Sends until the time or the requests are over; answers how many were due. */
static uint64_t send_all(struct connection *all, size_t connections, double seconds, double rate,
                         uint64_t requests_max) {
  double started = now_seconds(), end = started + seconds;
  uint64_t due = 0;
  for (double now = started; now < end; now = now_seconds()) {
    due = rate > 0 ? (uint64_t)((now - started) * rate) + 1 : UINT64_MAX;
    if (requests_max > 0 && due > requests_max) due = requests_max;
    for (size_t at = 0; at < connections && request_number < due; at++) {
      if (!is_free(&all[at])) continue;
      fire(&all[at], rate > 0 ? started + (double)request_number / rate : now_seconds());
    }
    if (requests_max > 0 && request_number >= requests_max) break;
    handle_events(rate > 0 ? 1 : 5);
  }
  return rate > 0 ? due : request_number;
}

static void print_result(double seconds, uint64_t due) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  printf("{\"seconds\":%.3f,\"due\":%llu,\"sent\":%llu,\"unanswered\":%llu,\"broken\":%llu,"
         "\"reconnects\":%llu,\"cpuSeconds\":%.3f,\"p50Ms\":%.3f,\"p90Ms\":%.3f,\"p99Ms\":%.3f,"
         "\"maxMs\":%.3f,\"status\":{", seconds, (unsigned long long)due,
         (unsigned long long)request_number, (unsigned long long)waiting_count,
         (unsigned long long)broken, (unsigned long long)reconnects, cpu, percentile_ms(0.5),
         percentile_ms(0.9), percentile_ms(0.99), latency_max_us / 1e3);
  const char *separator = "";
  for (int status = 0; status < STATUS_CODES; status++) {
    if (!status_counts[status]) continue;
    printf("%s\"%d\":%llu", separator, status, (unsigned long long)status_counts[status]);
    separator = ",";
  }
  printf("}}\n");
}

int main(int count, char **arguments) {
  if (count != 12) {
    fprintf(stderr, "usage: generator PORT[,PORT...] PATH TYPE BODY IDS CONNECTIONS SECONDS RATE REQUESTS "
                    "SPREAD SEED\n");
    return 2;
  }
  read_ports(arguments[1]);
  read_body(arguments[2], arguments[3], arguments[4]);
  read_ids(arguments[5]);
  size_t connections = strtoul(arguments[6], NULL, 10);
  double seconds = strtod(arguments[7], NULL), rate = strtod(arguments[8], NULL);
  uint64_t requests_max = strtoull(arguments[9], NULL, 10);
  spread = strtoull(arguments[10], NULL, 10);
  seed = scramble(strtoull(arguments[11], NULL, 10));
  if (port_count < 1 || connections < 1 || spread < 1 || group_count < 1) {
    fprintf(stderr, "PORT, CONNECTIONS, SPREAD and the ids must be at least one\n");
    return 2;
  }
  epoll_fd = epoll_create1(0);
  struct connection *all = calloc(connections, sizeof *all);
  for (size_t at = 0; at < connections; at++) {
    all[at].request = malloc(request_bytes);
    memcpy(all[at].request, first_request, request_bytes);
    all[at].port = ports[at % port_count];
    open_socket(&all[at]);
  }
  double started = now_seconds();
  uint64_t due = send_all(all, connections, seconds, rate, requests_max);
  double sent_at = now_seconds();
  while (waiting_count > 0 && now_seconds() < sent_at + ANSWERS_AWAITED_SECONDS) handle_events(5);
  print_result(now_seconds() - started, due);
  return 0;
}
