package record

import "testing"

func TestDidWorkComparesWhatWasDoneWithWhatWasPlanned(t *testing.T) {
	wave := func(files, copied int64) Phase {
		return Phase{Kind: "wave", Files: files, Counted: true, Copied: copied}
	}
	for name, c := range map[string]struct {
		trial Trial
		want  Done
	}{
		"nothing recorded": {Trial{}, NoWork},
		"idle":             {Trial{Phases: []Phase{wave(60, 0)}}, NoWork},
		"half of one wave": {Trial{Work: Work{Files: 5030}, Phases: []Phase{wave(60, 30), wave(5000, 5000)}}, PartWork},
		"half, by totals":  {Trial{Work: Work{Files: 30}, Phases: []Phase{{Kind: "wave", Files: 60}}}, PartWork},
		"all":              {Trial{Work: Work{Files: 60}, Phases: []Phase{wave(60, 60)}}, AllWork},
		"but a shortcut":   {Trial{Work: Work{Files: 59}, Phases: []Phase{wave(60, 59)}}, AllWork},
		"cut off": {Trial{Work: Work{Files: 60}, Phases: []Phase{{Kind: "free", Files: 5000, Counted: true,
			Copied: 60, CutOff: true}}}, AllWork},
		"a repeated tree": {Trial{Work: Work{Files: 60}, Phases: []Phase{wave(60, 60),
			{Kind: "repeat", Repeat: true, Files: 60, Counted: true}}}, AllWork},
		"files of a hold": {Trial{Snapshots: []Snapshot{{Sample: Sample{Covariates: &Covariates{FilesDone: 9}}}},
			Phases: []Phase{{Kind: "hold", Files: 60}}}, AllWork},
		"no number of files is planned": {Trial{Work: Work{Files: 60}, Phases: []Phase{wave(0, 60)}}, AllWork},
	} {
		if got, _, _ := c.trial.DidWork(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
