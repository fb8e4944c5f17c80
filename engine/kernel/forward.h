/* One batch of steps through the network. Included once for each instruction set, with
 *
 *   NAME(f)    the name of a function or type for this instruction set
 *   TARGET     the attribute that lets the compiler use it
 *   DOTS       its int8 dot product, from dots.h
 *   LANES      floats in one of its vectors: 4, 8 or 16
 *
 * Every sum has a fixed order: by lane where lanes are rows, positions or dimensions, and in
 * sixteen interleaved parts where a vector is summed up. Nothing may be contracted into a fused
 * multiply-add (the build says -ffp-contract=off), and exp is our own. So all instruction sets
 * give the same bits, and so does a step fed alone or in a batch.
 */

typedef float NAME(vector) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t NAME(words) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define vector NAME(vector)
#define VECTORS (ROWS / LANES) /* in the sixteen floats that everything is a multiple of */
#define CHAINS 4 /* sums side by side, since each addition waits for the one before in its sum */
#define FUNCTION TARGET static inline __attribute__((always_inline))
#define AT(pointer) (*(vector *)(pointer))
#define LOOK(pointer) (*(const vector *)(pointer))

/* A bfloat16 is the upper half of a float. The cache keeps two in each word, so that to widen them
 * takes one instruction each everywhere: the even ones lie in the lower half. */
FUNCTION vector NAME(even)(const uint16_t *pairs) {
    return (vector)(*(const NAME(words) *)pairs << 16);
}

FUNCTION vector NAME(odd)(const uint16_t *pairs) {
    return (vector)(*(const NAME(words) *)pairs & 0xffff0000u);
}

FUNCTION vector NAME(larger)(vector a, vector b) {
    const NAME(ints) first = a > b;
    return (vector)((first & (NAME(ints))a) | (~first & (NAME(ints))b));
}

/* Within 2 ulp for -87..88, what is beyond counts as that. The polynomial is Cephes' expf. */
FUNCTION vector NAME(exp)(vector x) {
    const vector zero = {0};
    x = -NAME(larger)(-NAME(larger)(x, zero - 87.0f), zero - 88.0f);
    const vector shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23 rounds to an integer */
    const vector n = shifted - 12582912.0f;
    const vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vector y = zero + 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1.0f;
    return y * (vector)((__builtin_convertvector(n, NAME(ints)) + 127) << 23);
}

/* The sum of sixteen floats in one order. */
FUNCTION float NAME(sum)(const vector *parts) {
    float s[ROWS];
    for (int v = 0; v < VECTORS; v++) AT(s + v * LANES) = parts[v];
    for (int half = ROWS / 2; half; half /= 2)
        for (int i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}

FUNCTION void NAME(normalise)(const float *x, const float *gain, float *y, int n) {
    vector squares[VECTORS] = {{0}};
    for (int i = 0; i < n; i += ROWS)
        for (int v = 0; v < VECTORS; v++) {
            const vector part = LOOK(x + i + v * LANES);
            squares[v] += part * part;
        }
    const float scale = 1.0f / sqrtf(NAME(sum)(squares) / (float)n + 1e-5f);
    for (int i = 0; i < n; i += LANES) AT(y + i) = LOOK(x + i) * scale * LOOK(gain + i);
}

/* Vector `t` of a batch into int8; each group of 64 by its own largest number. */
FUNCTION void NAME(quantise)(const float *x, Quantised *to, int t) {
    int8_t *q = to->q + (size_t)t * to->columns;
    const int groups = to->columns / GROUP;
    for (int g = 0; g < groups; g++, x += GROUP, q += GROUP) {
        vector most = {0};
        for (int i = 0; i < GROUP; i += LANES) {
            const vector part = LOOK(x + i);
            most = NAME(larger)(most, NAME(larger)(part, -part));
        }
        float largest = 0;
        for (int i = 0; i < LANES; i++) largest = most[i] > largest ? most[i] : largest;
        const float by = largest > 0 ? 127.0f / largest : 0;
        int32_t sum = 0;
        for (int i = 0; i < GROUP; i++) {
            q[i] = (int8_t)(x[i] * by + (x[i] < 0 ? -0.5f : 0.5f));
            sum += q[i];
        }
        to->scale[t * groups + g] = largest / 127.0f;
        to->unbias[t * groups + g] = -128 * sum;
    }
}

/* y = matrix * x, or y += it, for `count` vectors; y has `stride` floats for each. */
FUNCTION void NAME(multiply)(const Matrix *matrix, const Quantised *x, int count, float *y,
                             int stride, const int add) {
    for (int tile = 0; tile < matrix->tiles; tile++) {
        const Block *blocks = matrix->blocks + (size_t)tile * matrix->groups;
        for (int t = 0; t < count;) {
            float out[TOGETHER][ROWS];
            const int now = count - t < TOGETHER ? 1 : TOGETHER;
            if (now == 1) DOTS(blocks, x, t, 1, out);
            else DOTS(blocks, x, t, TOGETHER, out);
            for (int i = 0; i < now; i++, t++)
                for (int r = 0; r < ROWS; r += LANES) {
                    float *to = y + (size_t)t * stride + tile * ROWS + r;
                    if (add) AT(to) += LOOK(out[i] + r);
                    else AT(to) = LOOK(out[i] + r);
                }
        }
    }
}

/* Turn a head's query and key of step `t` by the angles of its position, or of its time, and put
 * key and value away. */
FUNCTION void NAME(remember)(Decoder *d, Layer *layer, int head, int t, int position) {
    const int size = d->head_dim, half = size / 2, timed = head >= d->heads - d->timed_heads;
    float *query = d->qkv + (size_t)t * 3 * d->width + head * size;
    float *key = query + d->width, *value = key + d->width;
    const float *cos = timed ? d->time_cos + t * half : d->cos + (size_t)position * half;
    const float *sin = timed ? d->time_sin + t * half : d->sin + (size_t)position * half;
    const float scale = 1.0f / sqrtf((float)size);
    const size_t cache = (size_t)head * d->context_padded * size, lane = position % ROWS;
    uint16_t *keys = layer->keys + cache + (position - lane) * size + 2 * lane;
    uint16_t *values = layer->values + cache + (position - position % 2) * ROWS + position % 2;
    for (int i = 0; i < half; i++) {
        const float q = query[i], q2 = query[i + half], k = key[i], k2 = key[i + half];
        query[i] = (q * cos[i] - q2 * sin[i]) * scale;
        query[i + half] = (q2 * cos[i] + q * sin[i]) * scale;
        key[i] = k * cos[i] - k2 * sin[i];
        key[i + half] = k2 * cos[i] + k * sin[i];
    }
    for (int i = 0; i < size; i++) {
        keys[i / 2 * 2 * ROWS + i % 2] = bfloat(key[i]);
        values[(size_t)(i / ROWS) * d->context_padded * ROWS + i % ROWS * 2] = bfloat(value[i]);
    }
}

/* scores[q][t] = query q times key t, for all keys t < seen, a multiple of 16. */
FUNCTION void NAME(score)(const Decoder *d, const uint16_t *keys, const float *query, int seen,
                          const int queries) {
    for (int t = 0; t < seen; t += ROWS)
        for (int v = 0; v < ROWS; v += LANES) {
            const uint16_t *key = keys + (size_t)t * d->head_dim + 2 * v;
            vector sum[TOGETHER][CHAINS];
            for (int q = 0; q < queries; q++)
                for (int c = 0; c < CHAINS; c++) sum[q][c] = (vector){0};
            for (int i = 0; i < d->head_dim; i += CHAINS, key += CHAINS * ROWS)
                for (int c = 0; c < CHAINS; c++) {
                    const vector part = c % 2 ? NAME(odd)(key + c / 2 * 2 * ROWS)
                                              : NAME(even)(key + c / 2 * 2 * ROWS);
                    for (int q = 0; q < queries; q++)
                        sum[q][c] += part * query[(size_t)q * 3 * d->width + i + c];
                }
            for (int q = 0; q < queries; q++)
                AT(d->scores + (size_t)q * d->context_padded + t + v) =
                    (sum[q][0] + sum[q][1]) + (sum[q][2] + sum[q][3]);
        }
}

/* `end` scores to weights, not yet divided by their sum, which is returned; 0 from `own` on. */
FUNCTION float NAME(weigh)(float *scores, int own, int end) {
    for (int t = own; t < end; t++) scores[t] = -1e30f;
    vector most = LOOK(scores);
    for (int t = LANES; t < own; t += LANES) most = NAME(larger)(most, LOOK(scores + t));
    float best = most[0];
    for (int i = 1; i < LANES; i++) best = most[i] > best ? most[i] : best;
    vector sums[VECTORS] = {{0}};
    for (int t = 0; t < own; t += ROWS)
        for (int v = 0; v < VECTORS; v++) {
            float *at = scores + t + v * LANES;
            AT(at) = NAME(exp)(LOOK(at) - best);
            sums[v] += AT(at);
        }
    for (int t = own; t < end; t++) scores[t] = 0;
    return NAME(sum)(sums);
}

/* out[q] = the values, weighed by scores[q] / sums[q]. */
FUNCTION void NAME(gather)(const Decoder *d, const uint16_t *values, int seen, const float *sums,
                           float *out, const int queries) {
    for (int i = 0; i < d->head_dim; i += LANES) {
        const uint16_t *value = values + (size_t)(i / ROWS) * d->context_padded * ROWS
                                + i % ROWS * 2;
        vector heard[TOGETHER][CHAINS];
        for (int q = 0; q < queries; q++)
            for (int c = 0; c < CHAINS; c++) heard[q][c] = (vector){0};
        for (int t = 0; t < seen; t += CHAINS, value += CHAINS * ROWS)
            for (int c = 0; c < CHAINS; c++) {
                const vector part = c % 2 ? NAME(odd)(value + c / 2 * 2 * ROWS)
                                          : NAME(even)(value + c / 2 * 2 * ROWS);
                for (int q = 0; q < queries; q++)
                    heard[q][c] += part * d->scores[(size_t)q * d->context_padded + t + c];
            }
        for (int q = 0; q < queries; q++)
            AT(out + (size_t)q * d->width_padded + i) =
                ((heard[q][0] + heard[q][1]) + (heard[q][2] + heard[q][3])) / sums[q];
    }
}

FUNCTION void NAME(attend)(Decoder *d, const Layer *layer, int head, int token, int start,
                           const int queries) {
    const size_t cache = (size_t)head * d->context_padded * d->head_dim;
    /* By the last query, in whole vectors; each weighs what it should not see with zero. */
    const int seen = (start + token + queries + ROWS - 1) / ROWS * ROWS;
    float sums[TOGETHER];
    const float *query = d->qkv + (size_t)token * 3 * d->width + head * d->head_dim;
    NAME(score)(d, layer->keys + cache, query, seen, queries);
    for (int q = 0; q < queries; q++) {
        float *scores = d->scores + (size_t)q * d->context_padded;
        sums[q] = NAME(weigh)(scores, start + token + q + 1, seen);
    }
    float *out = d->heard + (size_t)token * d->width_padded + head * d->head_dim;
    NAME(gather)(d, layer->values + cache, seen, sums, out, queries);
}

/* x += attention(x), for the whole batch. */
TARGET static void NAME(listen)(Decoder *d, Layer *layer, int count, int start) {
    const int width = d->width;
    for (int t = 0; t < count; t++) {
        NAME(normalise)(d->x + (size_t)t * width, layer->attention_norm, d->normed, width);
        NAME(quantise)(d->normed, &d->narrow, t);
    }
    NAME(multiply)(&layer->qkv, &d->narrow, count, d->qkv, 3 * width, 0);
    for (int head = 0; head < d->heads; head++) {
        for (int t = 0; t < count; t++) NAME(remember)(d, layer, head, t, start + t);
        int t = 0;
        for (; t + TOGETHER <= count; t += TOGETHER)
            NAME(attend)(d, layer, head, t, start, TOGETHER);
        for (; t < count; t++) NAME(attend)(d, layer, head, t, start, 1);
    }
    for (int t = 0; t < count; t++) {
        NAME(quantise)(d->heard + (size_t)t * d->width_padded, &d->narrow, t);
    }
    NAME(multiply)(&layer->out, &d->narrow, count, d->x, width, 1);
}

/* x += SwiGLU(x), for `count` vectors. */
TARGET static void NAME(think)(Decoder *d, const Thought *thought, float *x, int count) {
    const int width = d->width, hidden = thought->hidden, given = thought->gate.tiles * ROWS;
    Quantised wide = d->wide;
    wide.columns = hidden;
    for (int t = 0; t < count; t++) {
        NAME(normalise)(x + (size_t)t * width, thought->norm, d->normed, width);
        NAME(quantise)(d->normed, &d->narrow, t);
    }
    NAME(multiply)(&thought->gate, &d->narrow, count, d->gate, hidden, 0);
    NAME(multiply)(&thought->up, &d->narrow, count, d->up, hidden, 0);
    for (int t = 0; t < count; t++) {
        float *gate = d->gate + (size_t)t * hidden, *up = d->up + (size_t)t * hidden;
        for (int i = given; i < hidden; i++) gate[i] = up[i] = 0; /* another size was here before */
        for (int i = 0; i < hidden; i += LANES) {
            const vector g = LOOK(gate + i);
            AT(gate + i) = g / (1.0f + NAME(exp)(-g)) * LOOK(up + i);
        }
        NAME(quantise)(gate, &wide, t);
    }
    NAME(multiply)(&thought->down, &wide, count, x, width, 1);
}

TARGET static void NAME(read)(Decoder *d, const Readout *from, const float *x) {
    NAME(normalise)(x, from->norm, d->normed, d->width);
    NAME(quantise)(d->normed, &d->narrow, 0);
    NAME(multiply)(&from->head, &d->narrow, 1, d->logits, 0, 0);
}

/* One stage of the chain, from and to `stream`; its logits. */
TARGET static void NAME(say)(Decoder *d, const Stage *stage) {
    NAME(think)(d, &stage->thought, d->stream, 1);
    NAME(read)(d, &stage->field, d->stream);
}

/* Up to BATCH steps, in `x`, at the positions from `start`; the logits after the last one if they
 * are wanted. */
TARGET static void NAME(forward)(Decoder *d, int count, int start, int last) {
    for (int l = 0; l < d->layers; l++) {
        NAME(listen)(d, d->layer + l, count, start);
        NAME(think)(d, &d->layer[l].thought, d->x, count);
    }
    const float *x = d->x + (size_t)(count - 1) * d->width;
    if (last && d->stages) {
        NAME(normalise)(x, d->token.norm, d->stream, d->width);
        NAME(say)(d, d->stage);
    } else if (last) {
        NAME(read)(d, &d->token, x);
    }
}

#undef vector
#undef VECTORS
#undef CHAINS
#undef FUNCTION
#undef AT
#undef LOOK
#undef NAME
#undef TARGET
#undef DOTS
#undef LANES
