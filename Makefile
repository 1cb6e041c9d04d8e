# A thin layer over the CMake presets. `make` builds build/release/granary.
PRESETS := dev release asan tsan fuzz cov
PREFIX ?= /usr/local
FORMAT_FILES = $(shell find src tests bench fuzz tools -name '*.[ch]' 2>/dev/null)

.PHONY: all $(PRESETS) test format format-check tidy docs install clean ready
all: ready
	@test -f build/release/build.ninja || cmake --preset release
	@cmake --build --preset release --target granary

# One line that says what to do beats a page of errors.
ready:
	@command -v cmake >/dev/null && command -v ninja >/dev/null || { echo "cmake or ninja is missing: run scripts/setup" >&2; exit 1; }
	@test -d node_modules/@duckdb -a -d node_modules/duckdb || { echo "node_modules is missing: run scripts/setup" >&2; exit 1; }

$(PRESETS): ready
	@test -f build/$@/build.ninja || cmake --preset $@
	@cmake --build --preset $@

test:
	./scripts/test

format:
	clang-format-14 -i $(FORMAT_FILES)

format-check:
	clang-format-14 --dry-run -Werror $(FORMAT_FILES)

tidy: dev
	clang-tidy-14 --quiet --extra-arg=-Wno-unknown-warning-option -p build/dev $(filter %.c,$(filter src/%,$(FORMAT_FILES)))

docs: all
	build/release/granary docs

install: all
	cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
