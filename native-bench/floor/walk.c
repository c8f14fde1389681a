// Floor of scanning: walks OTLP protobuf down to every field of every span, as a scan must, and
// folds trace id, times and status into a hash. It checks every length, and builds nothing: no
// table of traces, no offsets, no attribute is compared with a policy.
//
// usage: walk BODY BODIES
// prints one JSON object: seconds, spans of one body, and the hash.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BODY_BYTES_MAX = 64 * 1024 * 1024 };
enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

struct reader { const unsigned char *at, *end; };
struct field { uint32_t number, type; uint64_t value; struct reader body; };

static uint64_t spans, hash;

static double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void refuse(void) {
  fprintf(stderr, "walk: not a well-formed message\n");
  exit(1);
}

static inline uint64_t read_varint(struct reader *reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (reader->at == reader->end) refuse();
    unsigned char byte = *reader->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  refuse();
  return 0;
}

static inline uint64_t read_fixed(struct reader *reader, size_t bytes) {
  uint64_t value = 0;
  if ((size_t)(reader->end - reader->at) < bytes) refuse();
  memcpy(&value, reader->at, bytes);
  reader->at += bytes;
  return value;
}

static inline int next_field(struct reader *reader, struct field *field) {
  if (reader->at == reader->end) return 0;
  uint64_t tag = read_varint(reader);
  field->number = (uint32_t)(tag >> 3);
  field->type = (uint32_t)(tag & 7);
  switch (field->type) {
    case VARINT: field->value = read_varint(reader); break;
    case FIXED64: field->value = read_fixed(reader, 8); break;
    case FIXED32: field->value = read_fixed(reader, 4); break;
    case LENGTH:
      field->value = read_varint(reader);
      if (field->value > (uint64_t)(reader->end - reader->at)) refuse();
      field->body.at = reader->at;
      field->body.end = reader->at += field->value;
      break;
    default: refuse();
  }
  return 1;
}

static inline void fold(uint64_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15ull; }

static void walk_attribute(struct reader attribute) {
  struct field field;
  while (next_field(&attribute, &field)) if (field.number == 1) fold(field.value);  // length of key
}

static void walk_status(struct reader status) {
  struct field field;
  while (next_field(&status, &field)) if (field.number == 3) fold(field.value);
}

static void walk_span(struct reader span) {
  struct field field;
  spans++;
  while (next_field(&span, &field)) {
    switch (field.number) {
      case 1:
        fold(read_fixed(&field.body, 8));
        fold(read_fixed(&field.body, 8));
        break;
      case 4: fold(field.value); break;
      case 7: case 8: fold(field.value); break;
      case 9: walk_attribute(field.body); break;
      case 15: walk_status(field.body); break;
      default: break;
    }
  }
}

static void walk_scope_spans(struct reader scope_spans) {
  struct field field;
  while (next_field(&scope_spans, &field)) if (field.number == 2) walk_span(field.body);
}

static void walk_resource(struct reader resource) {
  struct field field;
  while (next_field(&resource, &field)) if (field.number == 1) walk_attribute(field.body);
}

static void walk_request(struct reader request) {
  struct field field, inner;
  while (next_field(&request, &field)) {
    if (field.number != 1) continue;
    struct reader resource_spans = field.body;
    while (next_field(&resource_spans, &inner)) {
      if (inner.number == 1) walk_resource(inner.body);
      if (inner.number == 2) walk_scope_spans(inner.body);
    }
  }
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: walk BODY BODIES\n");
    return 2;
  }
  static unsigned char body[BODY_BYTES_MAX];
  FILE *file = fopen(arguments[1], "rb");
  if (!file) {
    perror(arguments[1]);
    return 1;
  }
  size_t bytes = fread(body, 1, BODY_BYTES_MAX, file);
  fclose(file);
  uint64_t bodies = strtoull(arguments[2], NULL, 10);
  double started = now_seconds();
  for (uint64_t number = 0; number < bodies; number++) {
    walk_request((struct reader){body, body + bytes});
  }
  printf("{\"seconds\":%.6f,\"spans\":%llu,\"hash\":\"%016llx\"}\n", now_seconds() - started,
         (unsigned long long)(spans / bodies), (unsigned long long)hash);
  return 0;
}
