package profiles

// topSiteCount is how many sites a verdict lists at the peak and at the last floor: what fits on a screen.
const topSiteCount = 15
