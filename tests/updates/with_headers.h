/* SPDX-License-Identifier: Apache-2.0 */
/* with_headers.h -- a request that has just these headers, for tests of pure functions. */
#ifndef OBJSRV_TESTS_WITH_HEADERS_H
#define OBJSRV_TESTS_WITH_HEADERS_H

#include "server/http/request.h"
#include "tests/format/cases.h"

static struct header with_headers_list[16];
static struct request with_headers_request;

/* "Name: value" each, up to a NULL. The request lives until the next call. */
static inline struct request *with_headers(const char *const *lines)
{
    struct request *r = &with_headers_request;
    r->headers = with_headers_list;
    r->header_count = 0;
    for (; *lines; lines++) {
        const char *colon = strchr(*lines, ':');
        assert_true(r->header_count < 16 && colon);
        with_headers_list[r->header_count++] = (struct header){
            .name = {*lines, (size_t)(colon - *lines)}, .value = slice_of(colon + 2)};
    }
    return r;
}
#define WITH(...) with_headers((const char *const[]){__VA_ARGS__, NULL})

static int with_headers_set_up(void **state)
{
    with_headers_request.arena = arena_new(1 << 20);
    return with_headers_request.arena ? 0 : -1;
}

static int with_headers_tear_down(void **state)
{
    arena_free(with_headers_request.arena);
    return 0;
}

static inline void assert_slice(struct slice found, const char *expected)
{
    assert_int_equal(found.len, strlen(expected));
    assert_memory_equal(found.at, expected, found.len);
}

#endif
