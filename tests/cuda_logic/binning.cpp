// The GPU's binning, carried out on the host with the same functions, against the obvious way. Exits with 1 and a
// sentence when they differ. Built and run by tests/test_cuda_logic.py.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "cuda/memory_layout.h"
#include "cuda/tiles.h"

using namespace endogs;
using namespace endogs::cuda;

namespace {

void require(bool condition, const char* what) {
    if (condition) return;
    std::printf("%s\n", what);
    std::exit(1);
}

struct Scene {
    Grid grid;
    std::vector<Splat> splats;
    std::vector<TileBox> boxes;
};

// Splats of every size and shape, some beyond the border, some not drawn, and many at equal depth.
Scene random_scene(int width, int height, int count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(0, 1);
    Scene scene{Grid(width, height), {}, {}};
    CameraView camera{{1, 0, 0, 0, 1, 0, 0, 0, 1}, {}, 100, 100, width / 2.0f, height / 2.0f,
                      static_cast<float>(width), static_cast<float>(height), 0.1f, false};
    for (int i = 0; i < count; ++i) {
        const float z = i % 3 ? 2 + std::floor(4 * uniform(random)) : 1 + 5 * uniform(random);
        const float mean[3] = {(uniform(random) - 0.5f) * 1.4f * width / 100 * z,
                               (uniform(random) - 0.5f) * 1.4f * height / 100 * z, i % 17 ? z : -z};
        const float quat[4] = {uniform(random), uniform(random) - 0.5f, uniform(random) - 0.5f, uniform(random)};
        const float size = std::log(z / 100 * std::exp(5 * uniform(random) - 1));
        const float log_scale[3] = {size, size + 2 * uniform(random) - 1, size - 3 * uniform(random)};
        Projected<float> p;
        project_gaussian(mean, quat, log_scale, camera, p);
        SplatShape<float> s;
        float tiles[4];
        const bool visible = shape_splat(p, 6 * uniform(random) - 4, camera, scene.grid.columns, scene.grid.rows, s, tiles);
        TileBox box{};
        if (visible && tiles[2] > tiles[0] && tiles[3] > tiles[1])
            box = {static_cast<uint16_t>(tiles[0]), static_cast<uint16_t>(tiles[1]), static_cast<uint16_t>(tiles[2]),
                   static_cast<uint16_t>(tiles[3])};
        scene.splats.push_back({s.mean_x, s.mean_y, s.a, s.b, s.c, s.log2_opacity, 0, 0, 0, p.z,
                                static_cast<uint32_t>(i), 0});
        scene.boxes.push_back(box);
    }
    return scene;
}

Reach<float> reach_of(const Splat& s) { return {s.a, s.b, s.c, s.log2_opacity}; }

// sort_run of bin.cu, one thread after the other.
std::vector<uint64_t> ranked(const std::vector<uint64_t>& from) {
    const std::size_t runs = (from.size() + kRun - 1) / kRun;
    std::vector<uint64_t> keys(runs * kRun, kLastKey), to(from.size());
    std::copy(from.begin(), from.end(), keys.begin());
    std::vector<int> place(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) {
        const uint64_t* run = keys.data() + i / kRun * kRun;
        place[i] = static_cast<int>(std::count_if(run, run + kRun, [&](uint64_t key) { return key < from[i]; }));
    }
    for (std::size_t i = 0; i < from.size(); ++i) keys[i / kRun * kRun + place[i]] = from[i];
    for (std::size_t i = 0; i < from.size(); ++i) {
        std::size_t at = place[i];
        for (std::size_t run = 0; run < runs; ++run)
            if (run != i / kRun) at += rank_in_run(keys.data() + run * kRun, from[i]);
        to[at] = from[i];
    }
    return to;
}

void check_scene(const Scene& scene) {
    const Grid& grid = scene.grid;
    std::vector<std::vector<uint64_t>> tiles(grid.tiles());
    for (std::size_t i = 0; i < scene.splats.size(); ++i) {
        const Splat& s = scene.splats[i];
        const TileBox& box = scene.boxes[i];
        for (int candidate = 0; candidate < tiles_in(box); ++candidate) {
            const int tile = tile_at(box, candidate, grid.columns), x = tile % grid.columns, y = tile / grid.columns;
            require(x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1, "a candidate lies outside its box");
            if (!reaches_tile(reach_of(s), s.mean_x, s.mean_y, x, y)) continue;
            const uint32_t entry = entry_of(s.gaussian, reached_parts(reach_of(s), s.mean_x, s.mean_y, x, y));
            require(gaussian_of(entry) == s.gaussian, "an entry forgets its Gaussian");
            tiles[tile].push_back(sort_key(s.channel3, entry));
        }
    }
    // Every pixel whose alpha reaches the threshold is in a part that its tile's entry names.
    for (int y = 0; y < grid.height; ++y)
        for (int x = 0; x < grid.width; ++x)
            for (std::size_t i = 0; i < scene.splats.size(); i += 7) {
                const Splat& s = scene.splats[i];
                if (tiles_in(scene.boxes[i]) == 0) continue;
                const float response =
                    response_at(s.a, s.b, s.c, s.log2_opacity, x + 0.5f - s.mean_x, y + 0.5f - s.mean_y);
                if (visible_alpha(response) == 0) continue;
                const int part = y % kTile / kPartHeight * kPartColumns + x % kTile / kPartWidth;
                const auto& keys = tiles[y / kTile * grid.columns + x / kTile];
                require(std::any_of(keys.begin(), keys.end(), [&](uint64_t key) {
                            return gaussian_of(entry_in(key)) == i && holds_part(entry_in(key), part);
                        }),
                        "a visible pixel is not reached");
            }
    std::mt19937 random(1);
    for (auto& keys : tiles) {
        std::shuffle(keys.begin(), keys.end(), random);
        const auto sorted = ranked(keys);
        for (std::size_t k = 1; k < sorted.size(); ++k) {
            const uint32_t a = gaussian_of(entry_in(sorted[k - 1])), b = gaussian_of(entry_in(sorted[k]));
            const float za = scene.splats[a].channel3, zb = scene.splats[b].channel3;
            require(za < zb || (za == zb && a < b), "entries are not front to back");
        }
    }
}

void check_ranks() {
    std::mt19937_64 random(3);
    for (int count : {1, 2, 31, 127, 128, 129, 700, 2048}) {
        std::vector<uint64_t> keys(count);
        for (auto& key : keys) key = random();
        auto truth = keys;
        std::sort(truth.begin(), truth.end());
        require(ranked(keys) == truth, "keys are not sorted");
        for (int probe = 0; probe < 50; ++probe) {
            const uint64_t key = probe % 2 ? random() : truth[random() % count];
            const auto before = std::lower_bound(truth.begin(), truth.end(), key) - truth.begin();
            require(rank_among(truth.data(), count, key) == before, "a rank is wrong");
        }
    }
}

void check_groups() {
    std::mt19937 random(4);
    for (int groups : {1, 5, 300})
        for (int count : {0, 1, 50, 1000}) {
            std::vector<uint32_t> keys(count + 20, ~0u);  // with room that is not used
            for (int i = 0; i < count; ++i) keys[i] = random() % groups;
            std::sort(keys.begin(), keys.end());
            std::vector<uint32_t> begin(groups + 1, 12345);
            const auto size = static_cast<int64_t>(keys.size());
            for (int64_t i = size; i >= 0; --i) open_groups(keys.data(), i, size, groups, begin.data());
            for (int group = 0; group <= groups; ++group)
                require(begin[group] == std::lower_bound(keys.begin(), keys.end(), group) - keys.begin(),
                        "a group begins elsewhere");
            require((int64_t{1} << key_bits(groups)) - 1 >= groups, "unused room does not sort last");
        }
}

// The walk that measures and the one that places agree, and nothing overlaps.
void check_layout() {
    for (int64_t count : {0, 1, 1000})
        for (bool in_order : {false, true}) {
            const Grid grid(333, 257);
            const EntryMemory measured(nullptr, 5000, count, in_order, 4096);
            std::vector<char> block(measured.bytes);
            const EntryMemory placed(block.data(), 5000, count, in_order, 4096);
            require(placed.bytes == measured.bytes, "two walks disagree");
            const char* end = block.data() + block.size();
            require(reinterpret_cast<char*>(placed.merged + 5000) <= end, "merged keys lie outside");
            require(reinterpret_cast<char*>(placed.entries + 5000) <= reinterpret_cast<char*>(placed.keys), "overlap");
            if (in_order)
                require(static_cast<char*>(placed.ordered.scratch) + 4096 <= end, "the scratch lies outside");
            else
                require(placed.ordered.sums == nullptr, "rows that nobody asked for");
            const GaussianMemory g(nullptr, count, grid);
            require(g.bytes >= count * (sizeof(Splat) + sizeof(TileBox) + 4) + grid.tiles() * 8, "too little room");
        }
}

}  // namespace

int main() {
    check_ranks();
    check_groups();
    check_layout();
    for (unsigned seed = 0; seed < 4; ++seed) check_scene(random_scene(75 + 20 * seed, 50 + 7 * seed, 400, seed));
    std::puts("binning agrees");
}
