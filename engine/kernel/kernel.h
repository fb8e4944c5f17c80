/* The values that the kernel's files share: weights as they are streamed, and one decoder.
 *
 * A matrix is cut into tiles of 16 rows, and a tile into blocks of 64 columns, so that to multiply
 * is to read memory from front to back once. Within a block, four neighbouring columns of one row
 * lie side by side, which is what the dot-product instructions of every processor take at once;
 * each lane of a vector then belongs to one row, and no sum ever runs across lanes.
 */
#ifndef SEGUE_KERNEL_H
#define SEGUE_KERNEL_H

#include <stdint.h>

enum {
    ROWS = 16,    /* rows of a tile; also the unit of every float vector */
    GROUP = 64,   /* columns that share one scale: as accurate here as 32, and half the scales */
    QUADS = GROUP / 4,
    BATCH = 32,   /* tokens that go through a layer together: the weights are read once for all */
    TOGETHER = 4, /* tokens, or queries, for which one load of a weight or a key is used */
};

typedef struct {
    float scale[ROWS];
    int8_t w[QUADS][ROWS][4]; /* -127..127; 128 is added where the instruction takes unsigned */
} Block;

typedef struct {
    int tiles, groups; /* 16 rows each, 64 columns each; what is beyond the matrix is zero */
    Block *blocks;     /* [tiles][groups] */
} Matrix;

/* Up to BATCH vectors in int8, with a scale for each group of 64. */
typedef struct {
    int columns;     /* of each vector in `q` */
    int8_t *q;       /* [BATCH][columns] */
    float *scale;    /* [BATCH][columns / GROUP] */
    int32_t *unbias; /* like scale: -128 times the group's sum, see `w` above */
} Quantised;

typedef struct {
    Matrix qkv, out, gate, up, down;
    float *attention_norm, *ffn_norm; /* [width] */
    /* bfloat16, two neighbours side by side: [heads][context / 16][head_dim / 2][16][2], so that
     * lanes are positions, and [heads][head_dim / 16][context / 2][16][2], lanes are dimensions. */
    uint16_t *keys, *values;
} Layer;

typedef struct Decoder Decoder;

struct Decoder {
    int layers, width, heads, head_dim, ffn, vocabulary, context;
    int width_padded, ffn_padded; /* to whole groups */
    int context_padded;           /* to whole vectors */
    void (*forward)(Decoder *, const int32_t *tokens, int count, int start, int last);
    Layer *layer;
    Matrix head;
    float *embedding, *norm; /* [vocabulary][width], [width] */
    float *cos, *sin;        /* [context][head_dim / 2] */
    /* What a batch of tokens passes through, each [BATCH][...]: */
    float *x, *qkv, *heard, *gate, *up; /* strides: width, 3 * width, width_padded, ffn_padded */
    float *normed, *logits;             /* of one token */
    float *scores; /* [TOGETHER][context_padded] */
    Quantised wide, narrow; /* vectors of ffn_padded and of width columns */
};

#endif
