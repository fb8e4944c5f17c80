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
    BATCH = 32,   /* steps that go through a layer together: the weights are read once for all */
    TOGETHER = 4, /* steps, or queries, for which one load of a weight or a key is used */
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

/* A feed-forward layer beside the residual, with its norm. */
typedef struct {
    Matrix gate, up, down;
    float *norm; /* [width] */
    int hidden;  /* to whole groups */
} Thought;

/* What reads logits off a vector: a norm and a matrix of as many rows as there are choices. */
typedef struct {
    Matrix head;
    float *norm; /* [width] */
    int choices;
} Readout;

/* One of the chain in which a nested network says a note: it thinks, and a field is read off. */
typedef struct {
    Thought thought;
    Readout field;
} Stage;

typedef struct {
    Matrix qkv, out;
    Thought thought;
    float *attention_norm; /* [width] */
    /* bfloat16, two neighbours side by side: [heads][context / 16][head_dim / 2][16][2], so that
     * lanes are positions, and [heads][head_dim / 16][context / 2][16][2], lanes are dimensions. */
    uint16_t *keys, *values;
} Layer;

typedef struct Decoder Decoder;

/* Takes steps. Of a network of tokens a step is one entry of the embedding, and the logits are read
 * off what the last layer says. Of a nested one it is the sum of `entries` of them, and has a time
 * by which some heads turn; the logits are those of the first of its `stages`. */
struct Decoder {
    int layers, width, heads, head_dim, ffn, vocabulary, context;
    int entries, timed_heads, stages, chain; /* 1, 0, 0, 0 for a network of tokens */
    int width_padded;   /* to whole groups */
    int context_padded; /* to whole vectors */
    void (*forward)(Decoder *, int count, int start, int last);
    void (*say)(Decoder *, const Stage *);
    Layer *layer;
    Readout token; /* of a network of tokens; of a nested one only its norm */
    Stage *stage;
    float *embedding;           /* [vocabulary][width] */
    float *cos, *sin;           /* [context][head_dim / 2] */
    float *rates;               /* [head_dim / 2], radians for a unit of time */
    float *time_cos, *time_sin; /* [BATCH][head_dim / 2] */
    /* What a batch of steps passes through, each [BATCH][...]: */
    float *x, *qkv, *heard, *gate, *up; /* strides: width, 3 * width, width_padded, hidden */
    float *normed, *stream, *logits;    /* of one step */
    float *scores; /* [TOGETHER][context_padded] */
    Quantised wide, narrow; /* vectors of the most hidden and of width columns */
};

#endif
