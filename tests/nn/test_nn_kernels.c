/* SPDX-License-Identifier: Apache-2.0
 *
 * Every version of the loops over activations gives the bits of plain C, and SiLU and sigmoid those
 * of the reference. */
#include "base/random.h"
#include "graph/activation.h"
#include "nn/kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { N = 4 * 24 * 13, PLANE = N / 4 };

typedef struct Data {
    NbRandom random;
    float x[N];
    float g[N];
    uint8_t bytes[N];
    float par[4][N];
} Data;

static void fill(Data *d, int seed) {
    d->random = nb_random((uint64_t)seed, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < N; i++) {
        d->bytes[i] = (uint8_t)nb_random_below(&d->random, 256);
        d->x[i] = (float)nb_random_range(&d->random, -9.0, 9.0);
        d->g[i] = (float)nb_random_range(&d->random, -1.0, 1.0);
        if (seed % 3 == 0) /* ties, and the middle between codes */
            d->x[i] = rintf(d->x[i]) * 0.5F;
        for (int p = 0; p < 4; p++)
            d->par[p][i] = (float)nb_random_range(&d->random, -2.0, 2.0);
    }
}

/* What one version makes of the data. */
typedef struct Results {
    float y[31][N];
    double sum[4][N];
    double d_scale[2];
    uint8_t which[N];
    int32_t where[N];
} Results;

static void run(const NbNnKernels *k, const Data *d, size_t c, size_t n, Results *r) {
    const size_t p = nb_nn_period(c);
    const float *const par[4] = {d->par[0], d->par[1], d->par[2], d->par[3]};
    const size_t plane = n / 4 / c * c;
    memset(r, 0, sizeof *r);
    k->mul(d->x, par[0], p, n, r->y[0]);
    k->affine(d->x, par[0], par[1], p, n, r->y[1]);
    k->scale(d->x, 0.3F, n, r->y[2]);
    k->add(d->x, n, r->y[2]);
    k->from_u8(d->bytes, n, r->y[3]);
    k->sums(d->x, p, n, r->sum[0], r->sum[1]);
    k->products(d->g, d->x, p, n, r->sum[2], r->sum[3]);
    k->leaky(d->x, 0.0F, n, r->y[4]);
    k->leaky(d->x, 0.1F, n, r->y[5]);
    k->hardtanh(d->x, n, r->y[6]);
    k->silu(d->x, n, r->y[7]);
    k->sigmoid(d->x, n, r->y[8]);
    for (size_t i = 9; i < 16; i++)
        memcpy(r->y[i], d->g, n * sizeof *d->g);
    k->leaky_back(d->x, 0.1F, n, r->y[9]);
    k->hardtanh_back(d->x, n, r->y[10]);
    k->silu_quick(d->x, n, r->y[11], r->y[25]);
    k->sigmoid_quick(d->x, n, r->y[12], r->y[26]);
    k->times(d->x, n, r->y[25]);
    k->norm_silu(d->x, par[0], par[1], p, n, r->y[29]);
    memcpy(r->y[30], d->g, n * sizeof *d->g);
    k->norm_silu_back(d->x, par[0], par[1], p, n, r->y[30]);
    for (int ste = 0; ste < 2; ste++) {
        const NbNnQuant q = {.scale = 0.5F, .lo = -3.0F, .hi = 11.0F, .ste = ste};
        r->d_scale[ste] = k->quant_back(d->x, &q, n, r->y[13 + ste]);
        k->quant(d->x, &q, n, r->y[15]);
        k->norm_act_quant(d->x, par, p, 0.25F * (float)ste, &q, n, r->y[27 + ste]);
    }
    memcpy(r->y[24], d->g, n * sizeof *d->g);
    k->larger(d->x, n / 2, r->y[24]);
    k->larger_pick(d->x + n / 2, 7, n / 2, r->y[24], r->where);
    k->norm_back(d->g, d->x, par, p, n, r->y[16]);
    k->split(d->x, c, n / c / 2, r->y[17], r->y[17] + n / c / 2 * c);
    k->join(d->x, d->x + n / c / 2 * c, c, n / c / 2, r->y[18]);
    k->pool(d->x, plane, r->y[19]);
    k->pool_pick(d->x, d->g, plane, r->y[20], r->y[21], r->which);
    k->pool_back(d->x, plane, d->g, r->y[22]);
    k->pick_norm_back(d->g, r->which, d->x, par, p, plane, r->y[23]);
}

static void every_version_gives_the_bits_of_plain_c(void **state) {
    (void)state;
    static const size_t channels[] = {1, 3, 8, 13, 16, 24, 39};
    static Data data;
    static Results want;
    static Results got;
    const NbIsa best = nb_isa_detect();
    for (int isa = NB_ISA_AVX2; isa <= (int)best; isa++)
        for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
            for (int seed = 0; seed < 4; seed++) {
                const size_t n = (size_t)(N - 100 * seed) / channels[i] * channels[i];
                fill(&data, seed);
                run(nb_nn_kernels(NB_ISA_C), &data, channels[i], n, &want);
                run(nb_nn_kernels((NbIsa)isa), &data, channels[i], n, &got);
                if (memcmp(&want, &got, sizeof got) != 0)
                    fail_msg("%s differs from c at %zu channels", nb_isa_name((NbIsa)isa),
                             channels[i]);
            }
}

static void one_loop_gives_the_bits_of_three(void **state) {
    (void)state;
    static Data d;
    static float want[N];
    static float got[N];
    static const float slope[] = {0.0F, 0.1F, 1.0F};
    const NbNnQuant q = {.scale = 0.25F, .lo = -4.0F, .hi = 11.0F};
    for (int isa = 0; isa <= (int)nb_isa_detect(); isa++)
        for (int i = 0; i < 3; i++) {
            const NbNnKernels *const k = nb_nn_kernels((NbIsa)isa);
            fill(&d, i);
            const float *const par[2] = {d.par[0], d.par[1]};
            k->affine(d.x, par[0], par[1], 64, N, want);
            k->leaky(want, slope[i], N, want);
            k->quant(want, &q, N, want);
            k->norm_act_quant(d.x, par, 64, slope[i], &q, N, got);
            for (size_t j = 0; j < N; j++)
                assert_true(got[j] == want[j]);
        }
}

static bool same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void silu_and_sigmoid_have_the_bits_of_the_reference(void **state) {
    (void)state;
    NbRandom random = nb_random(1, NB_RANDOM_TEST, 0, 0);
    static float x[N];
    static float y[N];
    static float z[N];
    for (int round = 0; round < 60; round++) {
        for (size_t i = 0; i < N; i++) {
            const uint32_t bits = nb_random_u32(&random);
            x[i] = (float)nb_random_range(&random, -20.0, 20.0);
            if (round % 2)
                memcpy(&x[i], &bits, sizeof bits); /* any float */
        }
        for (int isa = 0; isa <= (int)nb_isa_detect(); isa++) {
            nb_nn_kernels((NbIsa)isa)->silu(x, N, y);
            nb_nn_kernels((NbIsa)isa)->sigmoid(x, N, z);
            for (size_t i = 0; i < N; i++)
                if (!same(y[i], nb_silu(x[i])) || !same(z[i], nb_sigmoid(x[i])))
                    fail_msg("%s at %a: %a and %a, the reference has %a and %a",
                             nb_isa_name((NbIsa)isa), (double)x[i], (double)y[i], (double)z[i],
                             (double)nb_silu(x[i]), (double)nb_sigmoid(x[i]));
        }
    }
}

/* Within 4 units in the last place; derivatives, where numbers near 1 (times x) cancel, within the
 * same of these. */
static void quick_silu_and_sigmoid_are_near_the_reference(void **state) {
    (void)state;
    NbRandom random = nb_random(7, NB_RANDOM_TEST, 0, 0);
    static float x[N];
    static float y[4][N];
    for (int round = 0; round < 60; round++) {
        const double span = round % 2 ? 85.0 : 6.0;
        for (size_t i = 0; i < N; i++)
            x[i] = (float)nb_random_range(&random, -span, span);
        const NbNnKernels *const k = nb_nn_kernels(nb_isa_detect());
        k->silu_quick(x, N, y[0], y[1]);
        k->sigmoid_quick(x, N, y[2], y[3]);
        for (size_t i = 0; i < N; i++) {
            const double s = 1.0 / (1.0 + exp(-(double)x[i]));
            const double want[4] = {(double)x[i] * s, s * (1.0 + (double)x[i] * (1.0 - s)), s,
                                    s * (1.0 - s)};
            for (int j = 0; j < 4; j++) {
                const double far = fabs((double)y[j][i] - want[j]);
                const double of = j % 2 ? 1.0 + fabs((double)x[i]) : fabs(want[j]);
                if (!(far <= 0x4p-23 * of))
                    fail_msg("function %d at %a: %a, %a expected", j, (double)x[i], (double)y[j][i],
                             want[j]);
            }
        }
    }
}

/* Products in double are sums in order, rounded once; those in float32 have one order too. */
static void products_and_softmax_have_the_bits_of_plain_loops(void **state) {
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1}, {5, 7, 3}, {4, 9, 32}, {9, 6, 71}, {13, 2, 40}};
    static Data d;
    static float y[2][N];
    for (int isa = 0; isa <= (int)nb_isa_detect(); isa++)
        for (size_t t = 0; t < sizeof sizes / sizeof *sizes; t++) {
            const NbNnKernels *const k = nb_nn_kernels((NbIsa)isa);
            const size_t *const s = sizes[t];
            fill(&d, (int)t);
            k->matmul(d.x, d.g, s, y[0]);
            k->matmul_quick(d.x, d.g, s, y[1]);
            for (size_t i = 0; i < s[0]; i++)
                for (size_t j = 0; j < s[2]; j++) {
                    double sum = 0.0;
                    float quick = 0.0F;
                    for (size_t l = 0; l < s[1]; l++) {
                        sum += (double)d.x[i * s[1] + l] * (double)d.g[l * s[2] + j];
                        quick += d.x[i * s[1] + l] * d.g[l * s[2] + j];
                    }
                    assert_true(same(y[0][i * s[2] + j], (float)sum));
                    assert_true(same(y[1][i * s[2] + j], quick));
                }
            const size_t n = s[1] * s[2];
            d.x[n / 2] = t == 3 ? NAN : d.x[n / 2];
            nb_softmax(d.x, n, 1, y[0]);
            k->softmax(d.x, n, y[1]);
            for (size_t i = 0; i < n; i++)
                assert_true(same(y[0][i], y[1][i]));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_gives_the_bits_of_plain_c),
        cmocka_unit_test(one_loop_gives_the_bits_of_three),
        cmocka_unit_test(silu_and_sigmoid_have_the_bits_of_the_reference),
        cmocka_unit_test(products_and_softmax_have_the_bits_of_plain_loops),
        cmocka_unit_test(quick_silu_and_sigmoid_are_near_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
