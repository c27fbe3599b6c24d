/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics.c -- counting by two loops, and what is exposed of it. */
#include "server/http/request.h"
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after those that it needs */
#include <cmocka.h>

static void reply(unsigned index, const char *method, const char *device, int status,
                  int64_t length, uint64_t took_ns)
{
    struct loop loop = {.metrics = metrics_of(index)};
    struct request r = {.method = slice_of(method),
                        .device = slice_of(device),
                        .status = status,
                        .reply_length = length,
                        .loop = &loop,
                        .started_ns = uv_hrtime() - took_ns};
    metrics_reply(&r);
}

static void expect(const char *line)
{
    struct metrics_text t = metrics_expose();
    assert_non_null(t.text);
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (strstr(t.text, wanted) == NULL)
        fail_msg("no line %s in\n%s", line, t.text);
    free(t.text);
}

static void expect_none(const char *text)
{
    struct metrics_text t = metrics_expose();
    if (strstr(t.text, text) != NULL)
        fail_msg("%s in\n%s", text, t.text);
    free(t.text);
}

static void test_requests(void **state)
{
    reply(0, "GET", "sda1", 200, 100, 3000000);
    reply(3, "GET", "sda1", 206, 7, 3000000000u);
    reply(3, "GET", "sda1", 404, 70, 1000);
    reply(0, "GET", "sda1", 507, 9, 1000);
    reply(0, "NONSENSE", "", 405, 9, 1000);
    reply(0, "HEAD", "sda1", 200, 100, 1000);
    expect("swift_object_server_requests_total{method=\"GET\",status=\"200\"} 1");
    expect("swift_object_server_requests_total{method=\"other\",status=\"405\"} 1");
    expect("swift_storage_server_count{type=\"object-server\",method=\"GET\",status=\"ok\"} 3");
    expect("swift_storage_server_count{type=\"object-server\",method=\"GET\",status=\"errors\"} 1");
    expect("swift_storage_server_bucket{type=\"object-server\",method=\"GET\",status=\"ok\",le=\"0."
           "0025\"} 1");
    expect("swift_storage_server_bucket{type=\"object-server\",method=\"GET\",status=\"ok\",le=\"2."
           "5\"} 2");
    expect("swift_storage_server_bucket{type=\"object-server\",method=\"GET\",status=\"ok\",le=\"+"
           "Inf\"} 3");
    expect("objsrv_sent_bytes_total 107");
    expect("objsrv_device_requests_total{device=\"sda1\"} 5");
    expect("objsrv_device_errors_total{device=\"sda1\"} 1");
    expect("objsrv_device_sent_bytes_total{device=\"sda1\"} 107");
}

/* Clients name devices that are none; those that are, may be many. */
static void test_devices(void **state)
{
    reply(1, "GET", "invented", 404, 0, 1);
    reply(1, "GET", "invented", 507, 0, 1);
    expect_none("invented");
    for (unsigned i = 0; i < DEVICES_MOST + 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%u", i);
        reply(1, "PUT", name, 201, 0, 1);
        reply(1, "PUT", name, 201, 0, 1);
    }
    expect("objsrv_device_requests_total{device=\"d0\"} 2");
    expect("objsrv_device_requests_total{device=\"d127\"} 2");
    expect("objsrv_device_requests_total{device=\"other\"} 40");
    expect_none("\"d128\"");
    metrics_stored(metrics_of(1), SLICE("d0"), 5);
    expect("objsrv_device_received_bytes_total{device=\"d0\"} 5");
    expect("objsrv_received_bytes_total 5");
}

static void test_steps(void **state)
{
    metrics_step(metrics_of(0), "sync", 2000000);
    metrics_step(metrics_of(1), "open", 1);
    metrics_step(metrics_of(1), "sync", 2000000);
    expect("objsrv_step_seconds_count{step=\"sync\"} 2");
    expect("objsrv_step_seconds_sum{step=\"sync\"} 0.004000000");
    expect("objsrv_step_seconds_bucket{step=\"open\",le=\"0.0001\"} 1");
    metrics_step(NULL, "sync", 1); /* no memory: nothing is counted, nothing breaks */
    assert_null(metrics_of(METRICS_LOOPS));
}

static void test_plain(void **state)
{
    metric_add(metrics_of(0), METRIC_put_timeouts, 2);
    metric_add(metrics_of(1), METRIC_put_timeouts, 1);
    metric_add(NULL, METRIC_put_timeouts, 1);
    metric_shared_add(METRIC_quarantines);
    expect("objsrv_put_timeouts_total 3");
    expect("objsrv_quarantines_total 1");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
