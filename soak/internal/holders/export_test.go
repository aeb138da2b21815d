package holders

import "context"

// RootNames are the roots of a process, without what they hold.
func RootNames(ctx context.Context, pid int, exe string) (names []string, err error) {
	img, err := openImage(exe)
	if err != nil {
		return nil, err
	}
	defer img.close()
	mem, err := freeze(ctx, pid)
	if err != nil {
		return nil, err
	}
	defer mem.close()
	lay, err := newLayout(img)
	if err != nil {
		return nil, err
	}
	h, err := readSpans(mem, img, lay)
	if err != nil {
		return nil, err
	}
	if err := h.readRecords(ctx); err != nil {
		return nil, err
	}
	roots, _ := h.readRoots(mem.stackPointers())
	for _, r := range roots {
		names = append(names, r.name)
	}
	return names, nil
}
