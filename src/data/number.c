/* A double as the shortest decimal text that reads back as the same double.
 * Invariant: strtod of the text gives the value again, and no text with fewer digits does (but for a few powers of two
 * of 17 digits, where a neighbour of the correctly rounded 16 digits would do as well).
 *
 * Most values of reports have few decimals, and those take the fast way: an integer m below 10^15 and a power of ten
 * up to 10^22 are exact doubles, so m / 10^k is rounded once and equals what strtod makes of the text "m e-k". */
#include "data/internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* value = 0.d1 d2 d3 … × 10^point, digits without zeros at either end. */
typedef struct decimal {
    char digits[24];
    int n, point;
} decimal;

static void set_digits(decimal *d, uint64_t m, int decimals) {
    char text[24];
    int n = 0;
    while (m && m % 10 == 0) {
        m /= 10;
        decimals--;
    }
    for (; m; m /= 10) text[n++] = (char)('0' + m % 10);
    for (int i = 0; i < n; i++) d->digits[i] = text[n - 1 - i];
    d->n = n;
    d->point = n - decimals;
}

static bool fast_way(double v, decimal *d) {
    for (int k = 0; k < (int)(sizeof powers / sizeof *powers); k++) {
        double scaled = v * powers[k];
        if (scaled >= 1e15) return false;
        double m = nearbyint(scaled);
        if (m == 0 || m / powers[k] != v) continue;
        set_digits(d, (uint64_t)m, k);
        return true;
    }
    return false;
}

static void slow_way(double v, decimal *d) {
    /* A normal double keeps any 15 digits; a subnormal one may need fewer. */
    int precision = v < DBL_MIN ? 1 : 15;
    char text[40];
    for (;; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, v);
        if (precision >= 17 || strtod(text, NULL) == v) break;
    }
    int n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') d->digits[n++] = *p;
    d->point = (int)strtol(p + 1, NULL, 10) + 1;
    while (n > 1 && d->digits[n - 1] == '0') n--;
    d->n = n;
}

static char *write_plain(const decimal *d, char *p) {
    if (d->point <= 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = d->point; i < 0; i++) *p++ = '0';
    }
    for (int i = 0; i < d->n; i++) {
        if (i == d->point && i > 0) *p++ = '.';
        *p++ = d->digits[i];
    }
    for (int i = d->n; i < d->point; i++) *p++ = '0';
    return p;
}

static char *write_exponent(const decimal *d, char *p) {
    *p++ = d->digits[0];
    if (d->n > 1) *p++ = '.';
    for (int i = 1; i < d->n; i++) *p++ = d->digits[i];
    return p + snprintf(p, 8, "e%d", d->point - 1);
}

static size_t write_text(double v, bool is_json, char *out) {
    char *p = out;
    if (v == 0) {
        *p = '0';
        return 1;
    }
    decimal d = {0};
    double positive = fabs(v);
    if (!fast_way(positive, &d)) slow_way(positive, &d);
    if (v < 0) *p++ = '-';
    p = is_json && (d.point > 17 || d.point < -5) ? write_exponent(&d, p) : write_plain(&d, p);
    return (size_t)(p - out);
}

size_t gr_data_f64_text(double v, char out[GR_DATA_F64_MAX_BYTES]) { return write_text(v, false, out); }

size_t gr_data_f64_json(double v, char out[GR_DATA_F64_MAX_BYTES]) { return write_text(v, true, out); }
